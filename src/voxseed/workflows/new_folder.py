"""Folders that are either whole or not there: filled under another name, then moved into place."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxseed.errors import InputError
from voxseed.files import writing


def require_free(target: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        InputError: if it is not.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: is there already and not empty. Remove it, or choose another place.")


@contextmanager
def new_folder(target: Path, beside: Path, remedy: str) -> Iterator[Path]:
    """Yield an empty folder to fill; on success it becomes `target`, on failure it is removed.

    Args:
        target: must not exist, or be an empty folder.
        beside: folder, on the same file system, in which to work.
        remedy: what to do if nothing can be written there, for the message.

    Raises:
        InputError: if `beside` is not writable, the disk is full, or `target` is there and not empty. One that is
            raised while the folder is filled names the places where its files were to be.
    """
    working = beside / f".{secrets.token_hex(4)}.{target.name}"
    try:
        require_free(target)
        working.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{beside}: cannot be written to ({error.strerror}). {remedy}") from None
    try:
        with writing(working):
            yield working
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rmdir()
        os.replace(working, target)
    except InputError as error:
        raise type(error)(str(error).replace(str(working), str(target))) from None
    finally:
        shutil.rmtree(working, ignore_errors=True)
