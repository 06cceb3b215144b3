import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxseed.data.resampling import (
    linear_matrix,
    resample,
    resample_labels,
    resample_mask,
    resample_painted,
    resampled_affine,
    resampled_argmax,
    resampled_extent,
    resampled_shape,
    share_matrix,
)
from voxseed.errors import ShapeError
from voxseed.types import IGNORE


def centers_mm(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """(3, I, J, K) positions of voxel centres."""
    indices = np.concatenate([np.indices(shape).reshape(3, -1), np.ones((1, np.prod(shape)))])
    return (affine @ indices)[:3].reshape(3, *shape)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "target_spacing_mm", "expected"),
    [
        ((100, 100, 10), (1.0, 1.0, 5.0), (2.0, 1.0, 2.5), (50, 100, 20)),
        ((95, 72, 44), (0.625, 0.625, 0.625), (1.25, 1.25, 1.25), (48, 36, 22)),
        ((3, 1, 1), (1.0, 1.0, 1.0), (100.0, 1.0, 0.3), (1, 1, 3)),
    ],
)
def test_shape_covers_the_same_extent(shape, spacing_mm, target_spacing_mm, expected) -> None:
    assert resampled_shape(shape, spacing_mm, target_spacing_mm) == expected


@pytest.mark.parametrize("target", [(9, 25, 7), (30, 11, 40), (18, 25, 21), (18, 26, 20)])
def test_a_ramp_in_mm_stays_where_it_is_in_space(target: tuple[int, int, int]) -> None:
    shape = (18, 25, 20)
    affine = np.array([[0.1, 2.0, 0, -30], [-1.5, 0.2, 0, 12], [0, 0.1, 3, 7], [0, 0, 0, 1]])
    direction = np.array([0.3, -1.0, 0.5]).reshape(3, 1, 1, 1)
    ramp = (centers_mm(shape, affine) * direction).sum(axis=0)
    expected = (centers_mm(target, resampled_affine(affine, shape, target)) * direction).sum(axis=0)
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(resample(ramp, target)[inner], expected[inner], atol=1e-3)


def test_both_grids_have_the_same_corners() -> None:
    affine = np.array([[0, -2.0, 0, 5], [1.0, 0, 0, 3], [0, 0, 4.0, -9], [0, 0, 0, 1]])
    shape, target = (10, 7, 5), (4, 13, 5)
    fine = resampled_affine(affine, shape, target)
    for corner in np.ndindex(2, 2, 2):
        at = np.array(corner)
        np.testing.assert_allclose(affine @ [*(at * shape - 0.5), 1], fine @ [*(at * target - 0.5), 1], atol=1e-9)


@pytest.mark.parametrize(
    ("n_in", "n_out", "expected"),
    [
        (2, 2, [[1, 0], [0, 1]]),
        (2, 4, [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]),
        (1, 3, [[1], [1], [1]]),
        (3, 1, [[0.3557, 0.2887, 0.3557]]),  # a window of sqrt(12) voxels; beyond the border values are repeated
    ],
)
def test_weights_of_an_axis(n_in: int, n_out: int, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(linear_matrix(n_in, n_out), expected, atol=1e-4)


def test_detail_that_a_coarser_grid_cannot_hold_vanishes() -> None:
    stripes = np.broadcast_to(np.array([0.0, 1.0] * 30).reshape(60, 1, 1), (60, 4, 4))
    assert np.abs(resample(stripes, (20, 4, 4))[2:-2] - 0.5).max() < 0.1
    assert np.abs(stripes[::3] - 0.5).min() == 0.5


def test_linear_interpolation_equals_scipy_where_the_grid_gets_finer() -> None:
    from scipy import ndimage

    volume = np.random.default_rng(0).normal(size=(7, 9, 5))
    target = (11, 9, 14)
    positions = np.meshgrid(
        *[(np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(volume.shape, target, strict=True)], indexing="ij"
    )
    expected = ndimage.map_coordinates(volume, positions, order=1, mode="nearest")
    np.testing.assert_allclose(resample(volume, target), expected, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_a_constant_stays_constant(n_in: int, n_out: int) -> None:
    for matrix in (linear_matrix(n_in, n_out), share_matrix(n_in, n_out)):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
        assert matrix.min() >= -1e-6


def test_shares_of_an_axis() -> None:
    np.testing.assert_allclose(share_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-6)


def test_the_largest_share_wins_among_several_classes() -> None:
    labels = np.array([1, 2, 2, 3, 3, 3, 3, IGNORE, IGNORE, IGNORE], dtype=np.uint8).reshape(10, 1, 1)
    assert resample_labels(labels, (2, 1, 1)).ravel().tolist() == [2, IGNORE]
    assert resample_labels(labels, (1, 1, 1)).item() == 3


def test_labels_go_to_the_class_with_the_largest_share() -> None:
    labels = np.zeros((8, 8, 8), dtype=np.uint8)
    labels[4:] = 2
    expected = np.zeros((4, 4, 4), dtype=np.uint8)
    expected[2:] = 2
    np.testing.assert_array_equal(resample_labels(labels, (4, 4, 4)), expected)
    np.testing.assert_array_equal(resample_labels(expected, (8, 8, 8)), labels)


def test_classes_are_never_averaged() -> None:
    labels = np.zeros((9, 9, 9), dtype=np.uint8)
    labels[5:] = 2
    assert set(np.unique(resample_labels(labels, (7, 20, 9)))) == {0, 2}


@pytest.mark.parametrize(
    ("annotated_rows", "expected"),
    [
        (0, [IGNORE, IGNORE, IGNORE]),
        (1, [IGNORE, IGNORE, IGNORE]),
        (2, [1, IGNORE, IGNORE]),  # two thirds of the first voxel
        (4, [1, IGNORE, IGNORE]),  # one third of the second
        (5, [1, 1, IGNORE]),
        (9, [1, 1, 1]),
    ],
)
def test_a_voxel_is_annotated_only_if_most_of_it_is(annotated_rows: int, expected: list[int]) -> None:
    labels = np.full((9, 4, 4), IGNORE, dtype=np.uint8)
    labels[:annotated_rows] = 1
    assert resample_labels(labels, (3, 4, 4))[:, 0, 0].tolist() == expected


def test_half_annotated_is_not_annotated() -> None:
    labels = np.full((2, 1, 1), IGNORE, dtype=np.uint8)
    labels[0] = 1
    assert resample_labels(labels, (1, 1, 1)).item() == IGNORE


def test_mask_follows_the_majority() -> None:
    mask = np.zeros((9, 3, 3), dtype=bool)
    mask[:6] = True
    assert resample_mask(mask, (3, 3, 3))[:, 0, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("target", [(6, 5, 4), (13, 9, 4), (3, 2, 9), (70, 300, 260)])
def test_argmax_by_slabs_equals_the_argmax_of_resampled_probabilities(target: tuple[int, int, int]) -> None:
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], size=(6, 5, 4)).transpose(3, 0, 1, 2)
    expected = np.stack([resample(each, target) for each in probabilities]).argmax(axis=0)
    np.testing.assert_array_equal(resampled_argmax(probabilities, target), expected)


def test_a_stack_of_channels_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(I, J, K\), found \(2, 3, 4, 5\)"):
        resample(np.zeros((2, 3, 4, 5)), (3, 4, 5))


@pytest.mark.parametrize(
    ("extent", "n_in", "n_out", "expected"),
    [
        ((2, 6), 8, 8, (2, 6)),
        ((2, 6), 8, 16, (4, 12)),
        ((2, 6), 8, 4, (1, 3)),
        ((1, 6), 8, 4, (0, 3)),  # the first centre lies at 1, the last at 5
        ((2, 5), 8, 4, (1, 2)),  # and that at 5 is beyond
        ((3, 4), 8, 2, (0, 1)),  # no centre: the voxel with the middle
        ((-3, 2), 8, 8, (-3, 2)),
        ((-4, 10), 8, 4, (-2, 5)),
    ],
)
def test_an_extent_is_the_voxels_whose_centres_lie_in_it(extent, n_in, n_out, expected) -> None:
    assert resampled_extent(*extent, n_in, n_out) == expected


@given(st.integers(1, 20), st.integers(1, 20), st.integers(-20, 30), st.integers(1, 20))
def test_an_extent_equals_a_search_for_centres(n_in, n_out, start, length) -> None:
    inside = [o for o in range(-500, 1000) if start * 2 * n_out <= (2 * o + 1) * n_in < (start + length) * 2 * n_out]
    found = resampled_extent(start, start + length, n_in, n_out)
    if inside:
        assert found == (inside[0], inside[-1] + 1)
    else:
        assert found[1] - found[0] == 1


def sliced_map(shape: tuple[int, int, int], axis: int, index: int) -> np.ndarray:
    """One annotated slice, half of it class 1."""
    labels = np.full(shape, IGNORE, np.uint8)
    plane = np.moveaxis(labels, axis, 0)[index]
    plane[:] = 0
    plane[: plane.shape[0] // 2] = 1
    return labels


@given(st.integers(0, 2), st.integers(2, 30), st.data())
def test_a_slice_becomes_one_slice_where_the_grid_becomes_coarser(axis: int, n_in: int, data) -> None:
    n_out, index = data.draw(st.integers(1, n_in)), data.draw(st.integers(0, n_in - 1))
    shape, target = [6, 6, 6], [6, 6, 6]
    shape[axis], target[axis] = n_in, n_out
    found = resample_painted(sliced_map(tuple(shape), axis, index), tuple(target))
    annotated = np.moveaxis(found != IGNORE, axis, 0)
    assert annotated.all(axis=(1, 2)).sum() == annotated.any(axis=(1, 2)).sum() == 1
    holder = int(annotated.any(axis=(1, 2)).argmax())
    assert holder <= (index + 0.5) * n_out / n_in <= holder + 1  # the slice that holds its centre
    np.testing.assert_array_equal(np.moveaxis(found, axis, 0)[holder].mean(axis=1), [1, 1, 1, 0, 0, 0])


def test_the_majority_rule_alone_loses_thin_slices() -> None:
    labels = sliced_map((8, 8, 9), 2, 4)
    assert (resample_labels(labels, (8, 8, 3)) == IGNORE).all()
    assert (resample_painted(labels, (8, 8, 3)) != IGNORE).sum() == 64


@pytest.mark.parametrize(
    ("row", "n_out", "expected"),
    [
        ([0, 1, 255, 255, 255, 255], 3, [0, 255, 255]),  # a tie of classes: the first, as everywhere
        ([255, 1, 255, 255, 0, 0], 3, [1, 255, 0]),
        ([255, 255, 255, 255, 1, 0, 0, 255], 2, [255, 0]),  # the largest share of what is annotated
        ([255, 1, 255], 6, [255, 255, 1, 1, 255, 255]),  # finer: no wider than it was
        ([255, 1, 255], 4, [255, 1, 1, 255]),  # voxels 3/4 as large: 2/3 of the two in the middle
        ([255, 255, 0, 255, 255], 4, [255, 255, 0, 255]),  # the centre lies between two voxels: the second
    ],
)
def test_painted_rows(row: list[int], n_out: int, expected: list[int]) -> None:
    labels = np.array(row, np.uint8).reshape(1, -1, 1)
    assert resample_painted(labels, (1, n_out, 1)).ravel().tolist() == expected


def test_a_map_without_gaps_is_resampled_as_any_label() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (9, 11, 8)).astype(np.uint8)
    for shape in ((4, 5, 8), (12, 5, 3), (9, 11, 8)):
        np.testing.assert_array_equal(resample_painted(labels, shape), resample_labels(labels, shape))


def test_a_slice_survives_where_another_axis_becomes_finer() -> None:
    found = resample_painted(sliced_map((4, 4, 9), 2, 4), (10, 7, 3))
    assert (found[..., 1] != IGNORE).all()
    assert (found[..., [0, 2]] == IGNORE).all()
