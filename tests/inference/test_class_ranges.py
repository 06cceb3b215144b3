import numpy as np
import pytest

from voxseed.inference.class_ranges import class_ranges, count_parts, touches_border
from voxseed.types import IGNORE

SHAPE = (6, 6, 6)


def target(known: int, unknown: int) -> np.ndarray:
    """Voxels of class 1 and unannotated ones, in rows that touch no face."""
    values = np.zeros(SHAPE, np.uint8)
    inner = values[1:-1, 1:-1, 1:-1].copy().ravel()
    inner[:known] = 1
    inner[known : known + unknown] = IGNORE
    values[1:-1, 1:-1, 1:-1] = inner.reshape(4, 4, 4)
    return values


def test_ranges_of_two_cases_by_hand():
    cases = [(target(4, 6), frozenset({2})), (target(10, 0), frozenset())]
    (name, seen), *others = class_ranges(cases, ("tumour", "cyst"), voxel_mm3=100.0).items()
    assert (name, others) == ("tumour", [])
    assert (seen.lowest_ml, seen.highest_ml) == pytest.approx((0.4, 1.0))
    assert (seen.most_parts, seen.touches_border, seen.is_absent_somewhere) == (1, False, False)


def test_a_case_that_is_known_to_be_without_a_class_counts_for_nothing_else():
    cases = [(target(4, 0), frozenset()), (target(0, 9), frozenset({1}))]
    assert class_ranges(cases, ("tumour",), 100.0)["tumour"].is_absent_somewhere
    cases = [(target(4, 0), frozenset()), (target(0, 9), frozenset())]
    seen = class_ranges(cases, ("tumour",), 100.0)["tumour"]
    assert not seen.is_absent_somewhere, "nobody looked"
    assert seen.highest_ml == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([], 0), ([1], 1), ([50, 50], 2), ([100, 4], 1), ([95, 5], 2), ([3, 3, 3], 3)],
)
def test_parts_with_a_twentieth_of_the_voxels_count(sizes, expected):
    mask = np.zeros((2 * len(sizes) + 1, 10, 10), bool)
    for number, size in enumerate(sizes):
        mask[2 * number].ravel()[:size] = True
    assert count_parts(mask) == expected


def test_parts_that_meet_at_a_corner_are_one():
    mask = np.zeros(SHAPE, bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert count_parts(mask) == 1


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("place", "expected"), [(0, True), (1, False), (4, False), (5, True)])
def test_the_six_faces(axis, place, expected):
    voxel = [2, 2, 2]
    voxel[axis] = place
    mask = np.zeros(SHAPE, bool)
    mask[tuple(voxel)] = True
    assert touches_border(mask) is expected
