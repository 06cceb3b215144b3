"""Splits: which cases are trained on, validated on and tested on."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxseed.errors import InputError
from voxseed.files import read_json, write_json

FILE_NAME = "splits.json"
NNUNET_FILE_NAME = "splits_final.json"
_VERSION = 1


@dataclass(frozen=True)
class Fold:
    """One division of the cases into those trained on and those validated on."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """Test cases and folds. Without folds, every case that is not a test case is trained on and none validated."""

    test: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()

    def train_cases(self, cases: Collection[str], fold: int = 0) -> tuple[str, ...]:
        """Those of `cases` (for example the annotated ones) that the fold trains on, in the fold's order.

        Raises:
            InputError: if there is no such fold.
        """
        if not self.folds:
            _require_fold(fold, 1)
            return tuple(case for case in cases if case not in self.test)
        return tuple(case for case in self._fold(fold).train if case in cases)

    def val_cases(self, cases: Collection[str], fold: int = 0) -> tuple[str, ...]:
        """Those of `cases` that the fold validates on, in the fold's order.

        Raises:
            InputError: if there is no such fold.
        """
        if not self.folds:
            _require_fold(fold, 1)
            return ()
        return tuple(case for case in self._fold(fold).val if case in cases)

    def test_cases(self, cases: Collection[str]) -> tuple[str, ...]:
        """Those of `cases` that are for testing."""
        return tuple(case for case in self.test if case in cases)

    def write(self, path: Path) -> None:
        """Write as splits.json, atomically."""
        folds = [{"train": list(fold.train), "val": list(fold.val)} for fold in self.folds]
        write_json(path, {"version": _VERSION, "test": list(self.test), "folds": folds})

    def _fold(self, number: int) -> Fold:
        _require_fold(number, len(self.folds))
        return self.folds[number]


def read_splits(root: Path, known_cases: Collection[str]) -> Splits:
    """Splits of a dataset folder: its splits.json, else nnU-Net's splits_final.json, else none.

    Raises:
        InputError: as `read_splits_file`.
    """
    for name in (FILE_NAME, NNUNET_FILE_NAME):
        if (root / name).is_file():
            return read_splits_file(root / name, known_cases)
    return Splits()


def read_splits_file(path: Path, known_cases: Collection[str]) -> Splits:
    """Read our format (an object) or nnU-Net's (a list of folds).

    Raises:
        InputError: if it is neither, names a case that is not in `known_cases`, or has a case in two places.
    """
    content = read_json(path)
    if isinstance(content, list):
        splits = Splits(folds=_folds(content, path))
    elif isinstance(content, dict):
        if content.get("version") != _VERSION:
            raise InputError(f"{path}: expected version {_VERSION}, found {content.get('version')!r}.")
        splits = Splits(_cases(content.get("test", []), "test", path), _folds(content.get("folds", []), path))
    else:
        raise InputError(
            f'{path}: expected {{"version": 1, "test": [...], "folds": [...]}} or nnU-Net\'s list of folds.'
        )
    _require_known(splits, set(known_cases), path)
    for number, fold in enumerate(splits.folds):
        _require_once((*splits.test, *fold.train, *fold.val), f"test, train and val of fold {number}", path)
    _require_once(splits.test, "test", path)
    return splits


def _folds(value: Any, path: Path) -> tuple[Fold, ...]:
    if not isinstance(value, list):
        raise InputError(f"{path}: folds are a list, found {type(value).__name__}.")
    folds = []
    for number, fold in enumerate(value):
        if not isinstance(fold, dict) or not {"train", "val"} <= fold.keys():
            raise InputError(f'{path}: fold {number} is no {{"train": [...], "val": [...]}}.')
        train, val = (_cases(fold[part], f"{part} of fold {number}", path) for part in ("train", "val"))
        folds.append(Fold(train, val))
    return tuple(folds)


def _cases(value: Any, where: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(case, str) for case in value):
        raise InputError(f"{path}: {where} is a list of case names, found {value!r}.")
    return tuple(value)


def _require_known(splits: Splits, known: set[str], path: Path) -> None:
    named: Sequence[str] = [*splits.test, *(case for fold in splits.folds for case in (*fold.train, *fold.val))]
    unknown = sorted(set(named) - known)
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} cases are not in the dataset, the first is {unknown[0]!r}. "
            "Remove them from the file, or add their images."
        )


def _require_once(cases: Sequence[str], where: str, path: Path) -> None:
    twice = [case for case, count in Counter(cases).items() if count > 1]
    if twice:
        raise InputError(f"{path}: case {twice[0]!r} occurs twice in {where}. Keep it in one place.")


def _require_fold(number: int, count: int) -> None:
    if not 0 <= number < count:
        raise InputError(f"--fold {number}: the splits have {count} fold(s), 0 to {count - 1}.")
