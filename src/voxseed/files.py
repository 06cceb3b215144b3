"""Files that are either whole or not there: written beside the target, then moved into place."""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voxseed.errors import InputError, UnwritableError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the file system refuses, while a file or folder is written, into a sentence.

    Errors about other files than the target, its neighbours and its parents are left as they are.

    Raises:
        UnwritableError: if the disk is full or the place cannot be written to; says what to do.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UnwritableError(f"{target}: the disk is full; free some space or write elsewhere.") from None
        if not _is_about(error, target):
            raise
        raise UnwritableError(
            f"{target}: cannot be written: {error.strerror or error}. Change its permissions or write elsewhere."
        ) from None


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; on success it is synced and replaces the target.

    The temporary name keeps the target's suffixes, because writers choose their format by them.
    On failure the temporary file is removed and the target is left as it was.

    Raises:
        UnwritableError: if the disk is full or the place cannot be written to.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
        try:
            yield temporary
            move_into_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, target: Path) -> None:
    """Replace `target` by a finished file of the same folder, durably."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    _sync_folder(target.parent)


def write_text(path: Path, text: str) -> None:
    """Write text (UTF-8) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a JSON file, but {error}. Correct it, or restore a copy.") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: if it does not, or as for `read_json`.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}. Restore a copy.")
    return found


def _is_about(error: OSError, target: Path) -> bool:
    """Whether an error names the target, something in it, a neighbour or a parent of it, or nothing at all."""
    paths = [Path(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
    return not paths or any(
        path.parent == target.parent or path in target.parents or target in (path, *path.parents) for path in paths
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows neither needs nor allows it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
