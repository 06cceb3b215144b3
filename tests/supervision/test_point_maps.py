"""Probability from scattered points, by hand and against a slow sum over voxels and points."""

import math

import numpy as np
import pytest

from voxseed.supervision.point_maps import points_map, sigma_of
from voxseed.supervision.probability_settings import ProbabilitySettings

SPACING = (1.0, 1.0, 2.0)


def settings(sigma_mm=2.0, per="object", **changes) -> ProbabilitySettings:
    return ProbabilitySettings(sigma_mm=sigma_mm, normalised_per=per, **changes)


def slow(objects, shape, sigma_mm, per):
    grid = np.moveaxis(np.indices(shape), 0, -1) * SPACING
    maps = [
        sum(np.exp(-((grid - point * np.array(SPACING)) ** 2).sum(-1) / (2 * sigma_mm**2)) for point in points)
        for points in objects
    ]
    maps = [sum(maps)] if per == "volume" else maps
    return np.max([(each - each.min()) / (each.max() - each.min()) for each in maps], axis=0)


def test_one_point_by_hand():
    found = points_map([np.array([[10, 10, 5]])], (30, 30, 15), SPACING, settings())
    assert found[10, 10, 5] == pytest.approx(1)
    for voxel in ((12, 10, 5), (10, 8, 5), (10, 10, 6)):  # each 2 mm away
        assert found[voxel] == pytest.approx(math.exp(-1 / 2), abs=1e-5)
    assert found[13, 10, 5] == pytest.approx(math.exp(-9 / 8), abs=1e-5)
    assert found[25, 10, 5] == 0


@pytest.mark.parametrize("per", ["object", "volume"])
@pytest.mark.parametrize("sigma_mm", [1.5, 4.0])
def test_it_is_the_sum_of_gaussians(per, sigma_mm):
    rng = np.random.default_rng(0)
    shape = (17, 14, 9)
    objects = [rng.integers(0, shape, (count, 3)) for count in (6, 3)]
    found = points_map(objects, shape, SPACING, settings(sigma_mm, per))
    np.testing.assert_allclose(found, slow(objects, shape, sigma_mm, per), atol=2e-5)


def test_points_of_objects_with_different_deltas_have_the_same_peak():
    near, far = np.array([[10, 10, 5], [11, 10, 5]]), np.array([[40, 10, 5], [48, 10, 5]])
    found = points_map([near, far], (60, 20, 10), SPACING, settings("auto", "volume", sigma_spacings=0.5))
    # Deltas of 2 mm (the least) and 4 mm: neighbours 1 mm and 8 mm apart add exp(-1/8) and exp(-2) to each other.
    assert found[40, 10, 5] / found[10, 10, 5] == pytest.approx((1 + math.exp(-2)) / (1 + math.exp(-1 / 8)), rel=1e-3)


@pytest.mark.parametrize(("per", "second"), [("object", 1.0), ("volume", 0.5)])
def test_what_is_normalised_decides_what_a_sparser_object_gets(per, second):
    objects = [np.array([[5, 5, 5], [5, 5, 5]]), np.array([[35, 5, 5]])]
    found = points_map(objects, (40, 10, 10), SPACING, settings(2.0, per))
    assert (found[5, 5, 5], found[35, 5, 5]) == (pytest.approx(1), pytest.approx(second, abs=1e-5))


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        ([[0, 0, 0], [6, 0, 0], [12, 0, 0]], 0.5 * 6),  # each 6 mm from its neighbour
        ([[0, 0, 0], [0, 0, 3], [0, 8, 0]], 0.5 * 6),  # 6, 6 and 8 mm: the median
        ([[0, 0, 0], [3, 0, 0]], 2.0),  # two voxels of the finest axis at least
        ([[4, 4, 4]], 2.0),
        ([[4, 4, 4], [4, 4, 4]], 2.0),  # one place
    ],
)
def test_sigma_from_the_points_own_spacing(voxels, expected):
    wanted = settings("auto", sigma_spacings=0.5)
    assert sigma_of(np.array(voxels), SPACING, wanted) == pytest.approx(expected)
    assert sigma_of(np.array(voxels), SPACING, settings(7.0)) == 7.0
