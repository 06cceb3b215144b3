"""Making splits: cases that belong together, such as those of one patient, are divided as one."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from voxseed.data.splits import Fold, Splits
from voxseed.errors import InputError

Groups = Mapping[str, Sequence[str]]
"""Name of a group → its cases."""


def divide(
    groups: Groups, fold_count: int, test_share: float = 0.0, seed: int = 0, test_groups: Collection[str] = ()
) -> Splits:
    """Divide groups of cases into a test part and folds; every case that is not for testing is validated on once.

    The order in which groups are taken follows from the seed and their names alone. For testing they are taken until
    one more would lead further away from the share; the rest goes, largest first, to the fold with fewest cases.

    Args:
        groups: what is never torn apart.
        fold_count: 2 or more.
        test_share: of all cases, from 0 up to but not 1; above 0 at least one group is for testing.
        seed: another seed gives another division.
        test_groups: groups that are for testing in any case; they count towards the share.

    Raises:
        InputError: if there are not enough groups for every fold to validate on one.
    """
    order = sorted(groups, key=lambda name: _rank(name, seed))
    test = _test_groups(groups, order, test_share, test_groups)
    rest = sorted((name for name in order if name not in test), key=lambda name: -len(groups[name]))
    if len(rest) < fold_count:
        raise InputError(
            f"--folds {fold_count}: expected at least {fold_count} groups of cases to divide, found {len(rest)} beside "
            f"{len(test)} for testing. Ask for fewer folds or a smaller --test-share, or group fewer cases."
        )
    parts: list[list[str]] = [[] for _ in range(fold_count)]
    for name in rest:
        min(parts, key=len).extend(groups[name])
    left = set(_sorted_cases(groups, rest))
    folds = tuple(Fold(tuple(sorted(left - set(part))), tuple(sorted(part))) for part in parts)
    return Splits(_sorted_cases(groups, test), folds)


def _test_groups(groups: Groups, order: Sequence[str], share: float, always: Collection[str]) -> set[str]:
    test = {name for name in order if name in always}
    wanted = share * sum(len(cases) for cases in groups.values())
    for name in order:
        missing = wanted - sum(len(groups[each]) for each in test)
        is_first_of_any = share > 0 and not test
        if name not in test and (is_first_of_any or abs(missing - len(groups[name])) < missing):
            test.add(name)
    return test


def _rank(name: str, seed: int) -> bytes:
    """Random, yet the same with every version of everything."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _sorted_cases(groups: Groups, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(case for name in names for case in groups[name]))
