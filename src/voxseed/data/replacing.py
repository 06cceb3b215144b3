"""Several files of a folder replaced as one.

New versions are written into hidden folders beside their places. When all are there, a journal is written that lists
them; then they are moved, and the journal goes last. A kill before the journal leaves the old files, a kill after it
what `finish` completes. Nobody reads a dataset in between, because `Dataset` refuses one that has a journal.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voxseed.errors import InputError
from voxseed.files import move_into_place, read_json_object, writing

JOURNAL_NAME = ".relabel.json"
_STAGING_NAME = ".relabel"
_VERSION = 1


class Replacement:
    """What will be replaced and removed.

    Args:
        root: the folder that holds the journal.
        request: plain values that say what for, so that the same request is known again.
    """

    def __init__(self, root: Path, request: Any) -> None:
        self._root = root
        self._request = request
        self._targets: list[Path] = []
        self._removed: list[Path] = []

    def stage(self, target: Path) -> Path:
        """Where to write the new version of a file; files beside it of the same stem are for formats of two files."""
        self._targets.append(target)
        return _staged(target)

    def remove(self, path: Path) -> None:
        """Remove a file with the rest."""
        self._removed.append(path)

    def commit(self) -> None:
        """From here on there is only forwards."""
        if not self._targets and not self._removed:
            return
        parts = [part for target in self._targets for part in _written_for(target)]
        journal = {
            "version": _VERSION,
            "request": self._request,
            "replaced": [_relative(path, self._root) for path in parts],
            "removed": [_relative(path, self._root) for path in self._removed],
        }
        path = self._root / JOURNAL_NAME
        with writing(path):  # by way of the hidden folder, so that a kill leaves nothing that nobody removes
            _staged(path).parent.mkdir(exist_ok=True)
            _staged(path).write_text(json.dumps(journal, indent=2) + "\n", encoding="utf-8")
            move_into_place(_staged(path), path)

    def discard(self) -> None:
        """Remove new versions that were not committed."""
        _remove_staged([self._root / JOURNAL_NAME, *self._targets])


@contextmanager
def replacing(root: Path, request: Any) -> Iterator[Replacement]:
    """Replace what is staged in the context, all of it or, if an exception leaves the context, nothing.

    Raises:
        InputError: if a place cannot be written to or the disk is full.
    """
    replacement = Replacement(root, request)
    try:
        yield replacement
        replacement.commit()
    except BaseException:
        if not is_interrupted(root):
            replacement.discard()
        raise
    finish(root)


def is_interrupted(root: Path) -> bool:
    """Whether a replacement was stopped between the journal and its end."""
    return (root / JOURNAL_NAME).is_file()


def finish(root: Path) -> Any:
    """Complete a replacement that was stopped; the request that it was made for, None if there was none.

    Raises:
        InputError: if the journal is damaged, or a place cannot be written to.
    """
    if not is_interrupted(root):
        return None
    journal = read_json_object(root / JOURNAL_NAME)
    if journal.get("version") != _VERSION:
        raise InputError(
            f"{root / JOURNAL_NAME}: expected version {_VERSION}, found {journal.get('version')!r}. "
            "Finish with the version of Voxseed that began."
        )
    targets = [root / name for name in journal["replaced"]]
    for target in targets:
        if _staged(target).is_file():  # else it was moved before the kill
            with writing(target):
                move_into_place(_staged(target), target)
    for name in journal["removed"]:
        with writing(root / name):
            (root / name).unlink(missing_ok=True)
    _remove_staged([root / JOURNAL_NAME, *targets])
    (root / JOURNAL_NAME).unlink()
    return journal["request"]


def _staged(target: Path) -> Path:
    return target.parent / _STAGING_NAME / target.name


def _remove_staged(targets: list[Path]) -> None:
    for folder in {_staged(target).parent for target in targets}:
        shutil.rmtree(folder, ignore_errors=True)


def _written_for(target: Path) -> list[Path]:
    """The files to move for a target; a header (.mhd) comes after its voxels."""
    staged = _staged(target)
    stem = staged.name.removesuffix(staged.suffix)
    others = (staged.with_name(stem + suffix) for suffix in (".raw", ".zraw") if staged.suffix.lower() == ".mhd")
    return [target.with_name(other.name) for other in others if other.is_file()] + [target]


def _relative(path: Path, root: Path) -> str:
    """Relative to the root where it lies in it, so that the dataset can be moved in between."""
    path, root = path.absolute(), root.absolute()
    return os.fspath(path.relative_to(root)) if path.is_relative_to(root) else os.fspath(path)
