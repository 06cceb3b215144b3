"""Split: the cases of a dataset into a test part and folds, written as its splits.json."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.datasets import Dataset
from voxseed.data.dividing import divide
from voxseed.data.splits import FILE_NAME, NNUNET_FILE_NAME, Splits
from voxseed.errors import InputError


@dataclass(frozen=True)
class SplitSummary:
    """What was written.

    Attributes:
        path: of splits.json.
        splits: its content.
        groups: case → group, which is the case itself if nothing groups them.
    """

    path: Path
    splits: Splits
    groups: dict[str, str]

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        return ("part", "train", "val", "groups in val")

    def rows(self) -> list[tuple[str, int, int, int]]:
        """One row per fold, and one for the test cases, which are neither trained nor validated on."""
        rows = [
            (f"fold {number}", len(fold.train), len(fold.val), self._group_count(fold.val))
            for number, fold in enumerate(self.splits.folds)
        ]
        return [*rows, ("test", 0, len(self.splits.test), self._group_count(self.splits.test))]

    def _group_count(self, cases: Iterable[str]) -> int:
        return len({self.groups[case] for case in cases})


def split(
    dataset: str | Path,
    folds: int = 5,
    *,
    group: str | None = None,
    test_share: float = 0.0,
    seed: int = 0,
    replace: bool = False,
) -> SplitSummary:
    """Write splits.json of the cases in imagesTr; those in imagesTs are never trained on anyway.

    Args:
        dataset: folder in the nnU-Net raw layout.
        folds: how many; each case that is not for testing is validated on in one of them.
        group: regular expression, found in case names; cases with the same first group, for example of one patient,
            stay together. Groups that imagesTs holds too become test cases.
        test_share: of the cases in imagesTr.
        seed: another seed gives another division.
        replace: write over splits that are there.

    Raises:
        InputError: if there are splits already, a number is out of range, the expression is wrong or does not fit a
            case, or there are too few groups for the folds.
    """
    if folds < 2:
        raise InputError(f"--folds {folds}: expected 2 or more, because what a fold validates on the others train on.")
    if not 0 <= test_share < 1:
        raise InputError(f"--test-share {test_share:g}: expected a share from 0 up to, but not, 1, such as 0.2.")
    data = Dataset.open(dataset)
    if not replace:
        _require_no_splits(data.root)
    groups = _groups((*data.cases, *data.test_cases), group)
    members: dict[str, list[str]] = defaultdict(list)
    for case in data.cases:
        members[groups[case]].append(case)
    splits = divide(members, folds, test_share, seed, test_groups={groups[case] for case in data.test_cases})
    splits.write(data.root / FILE_NAME)
    return SplitSummary(data.root / FILE_NAME, splits, groups)


def _require_no_splits(root: Path) -> None:
    for name in (FILE_NAME, NNUNET_FILE_NAME):
        if (root / name).is_file():
            raise InputError(
                f"{root / name}: there are splits already, and results depend on them. "
                f"To divide the cases anew, into {FILE_NAME}, which is read first: --replace."
            )


def _groups(cases: Iterable[str], expression: str | None) -> dict[str, str]:
    if expression is None:
        return {case: case for case in cases}
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise InputError(f"--group {expression}: no regular expression ({error}). Correct it.") from None
    if pattern.groups < 1:
        raise InputError(
            f"--group {expression}: expected a group in parentheses that finds the patient in the case's name, "
            r"such as '^([^_]+)_'."
        )
    return {case: _group(case, pattern) for case in cases}


def _group(case: str, pattern: re.Pattern[str]) -> str:
    match = pattern.search(case)
    if match is None or match[1] is None:
        raise InputError(
            f"--group {pattern.pattern}: finds no group in the case name {case!r}. Correct the expression so that it "
            "fits every case."
        )
    return match[1]
