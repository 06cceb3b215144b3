"""Probability between annotated slices, by hand."""

import numpy as np
import pytest

from voxseed.supervision.slice_maps import complete_slices, signed_distance, slices_map
from voxseed.types import IGNORE

SPACING = (2.0, 1.0, 1.0)


def row_slices(slices: dict[int, list[int]], count: int = 5) -> np.ndarray:
    """(count, 1, 6), slices of a single row across the first axis."""
    painted = np.full((count, 1, 6), IGNORE, np.uint8)
    for index, values in slices.items():
        painted[index, 0] = values
    return painted


def g(phi, u):
    return (1 + np.array(phi) / (np.abs(phi) + u)) / 2


def test_signed_distance_in_mm():
    mask = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    found = signed_distance(mask, [1.0, 2.0])
    assert found[2, 2] == 2  # two rows of 1 mm to the outside, or two columns of 2 mm
    assert (found[2, 1], found[2, 0], found[0, 2], found[0, 0]) == (2, -2, -1, pytest.approx(-np.sqrt(5)))
    assert np.isneginf(signed_distance(np.zeros((2, 2), bool), [1.0, 1.0])).all()
    assert signed_distance(np.ones((1, 3), bool), [1.0, 1.0]).tolist() == [[1, 1, 1]]  # beyond the slice it ends


def test_between_two_slices_by_hand():
    painted = row_slices({0: [0, 1, 1, 1, 1, 0], 4: [0, 0, 1, 0, 0, 0]})
    found = slices_map(painted, 1, SPACING)[:, 0]
    # Signed distances: -1 1 1 1 1 -1 and -2 -1 1 -1 -2 -3; the middle slice is 4 mm from both.
    np.testing.assert_allclose(found[0], [0, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(found[2], g([-1.5, 0, 1, 0, -0.5, -2], 4), atol=1e-6)
    np.testing.assert_allclose(found[1], g([-1.25, 0.5, 1, 0.5, 0.25, -1.5], 2), atol=1e-6)
    np.testing.assert_allclose(found[4], [0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(found[2][:3], [4 / 11, 0.5, 0.6], atol=1e-6)


def test_an_object_ends_half_way_to_a_slice_without_it():
    found = slices_map(row_slices({0: [0, 0, 1, 0, 0, 0], 4: [0] * 6}), 1, SPACING)[:, 0]
    # Distances 1 in the object's only voxel and -1 everywhere in the empty slice: 0 in the middle.
    np.testing.assert_allclose(found[:, 2], [1, g(0.5, 2), 0.5, g(-0.5, 2), 0], atol=1e-6)


def test_beyond_the_outermost_slice_it_falls_with_the_distance():
    found = slices_map(row_slices({0: [1] * 6, 1: [0, 0, 1, 0, 0, 0]}), 1, SPACING)[:, 0, 2]
    np.testing.assert_allclose(found[2:], g([1 - 2, 1 - 4, 1 - 6], np.array([2, 4, 6])), atol=1e-6)


def test_a_class_that_no_slice_has_is_nowhere():
    painted = row_slices({0: [0, 1, 1, 1, 1, 0], 4: [0, 0, 1, 0, 0, 0]})
    assert not slices_map(painted, 2, SPACING).any()


def test_only_parallel_slices_without_a_gap_count():
    painted = np.full((4, 5, 6), IGNORE, np.uint8)
    painted[1], painted[3], painted[:, 2] = 0, 1, 0
    assert {axis: found.tolist() for axis, found in complete_slices(painted).items()} == {0: [1, 3]}
    painted[1, 0, 0] = IGNORE
    assert complete_slices(painted) == {}


def test_slices_across_two_axes_are_averaged_by_nearness():
    rng = np.random.default_rng(0)
    dense = (rng.random((5, 5, 4)) < 0.5).astype(np.uint8)
    one, other, both = (np.full(dense.shape, IGNORE, np.uint8) for _ in range(3))
    for painted in (one, both):
        painted[[0, 4]] = dense[[0, 4]]
    for painted in (other, both):
        painted[:, [0, 4]] = dense[:, [0, 4]]
    spacing = (1.0, 1.0, 1.0)
    a, b, found = (slices_map(painted, 1, spacing) for painted in (one, other, both))
    np.testing.assert_allclose(found[2, 2], (a[2, 2] + b[2, 2]) / 2, atol=1e-6)
    np.testing.assert_allclose(found[1, 2], (2 * a[1, 2] + b[1, 2]) / 3, atol=1e-6)  # 1 mm and 2 mm away
    np.testing.assert_allclose(found[0], dense[0], atol=1e-5)
