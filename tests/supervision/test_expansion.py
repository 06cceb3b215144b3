"""Growth of one object: by hand in rows of voxels, and what it must not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxseed.supervision.boxes import VoxelBox
from voxseed.supervision.expansion import ExpansionSettings, grow_object, intensity_scales, smoothed

ONE_SIDED = ExpansionSettings(growth="one-sided", gradient_weight=0.0)
TWO_SIDED = ExpansionSettings(growth="two-sided", gradient_weight=0.0)
NOWHERE = np.zeros((0, 3), int)


def grow_row(settings, start, stop, inside, outside=(), row=(0,) * 11, valid=None):
    """Grow in a row of voxels along the first axis."""
    image = np.array(row, np.float32).reshape(1, -1, 1, 1)
    valid = np.ones(image.shape[1:], bool) if valid is None else np.array(valid, bool).reshape(-1, 1, 1)
    box = VoxelBox((start, 0, 0), (stop, 1, 1))
    points = [np.array([[i, 0, 0] for i in positions], int).reshape(-1, 3) for positions in (inside, outside)]
    return grow_object(image, valid, (1.5, 1, 1), box, *points, settings).ravel()


@pytest.mark.parametrize(
    ("settings", "start", "stop", "inside", "outside", "expected"),
    [
        # Shell at 1 and 9: D_max is 4 steps.
        (ONE_SIDED, 2, 9, [5], [], [0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75]),
        (ONE_SIDED, 2, 9, [4], [], [2 / 5, 1 / 5, 0, 1 / 5, 2 / 5, 3 / 5, 4 / 5]),
        (ONE_SIDED, 2, 9, [3, 7], [], [0.5, 0, 0.5, 1, 0.5, 0, 0.5]),
        (TWO_SIDED, 2, 9, [5], [], [0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75]),
        (TWO_SIDED, 2, 9, [4], [], [2 / 3, 1 / 3, 0, 1 / 5, 2 / 5, 3 / 5, 4 / 5]),
        # An outside point in the box is a source of its own.
        (TWO_SIDED, 2, 9, [3], [7], [0.5, 0, 0.25, 0.5, 0.75, 1, 5 / 6]),
        # At a face of the volume there is no shell, and a point there, clicked for want of room beyond, says nothing.
        (TWO_SIDED, 0, 4, [1], [0], [1 / 5, 0, 1 / 3, 2 / 3]),
    ],
)
def test_a_row_of_voxels(settings, start, stop, inside, outside, expected):
    found = grow_row(settings, start, stop, inside, outside)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_extreme_points_span_the_box_itself():
    """Distances end at its faces, and voxels beside it are not measured: they would make the spread larger."""
    row = np.array([9, 9, 0, 1, 0, 1, 0, 1, 0, 9, 9], np.float32).reshape(1, -1, 1, 1)
    image, valid = np.broadcast_to(row, (1, 11, 3, 3)), np.ones((11, 3, 3), bool)
    box, inside = VoxelBox((2, 0, 0), (9, 3, 3)), np.array([[5, 1, 1]])
    settings = ONE_SIDED.model_copy(update={"gradient_weight": 0.5})
    found = grow_object(image, valid, (1, 1, 1), box, inside, NOWHERE, settings, faces_inside=True)
    alone = grow_object(
        image[:, 2:9],
        valid[2:9],
        (1, 1, 1),
        VoxelBox((0, 0, 0), (7, 3, 3)),
        inside - [2, 0, 0],
        NOWHERE,
        settings,
        faces_inside=True,
    )
    np.testing.assert_array_equal(found, alone)
    assert found.max() == 1


def test_large_values_lose_nothing():
    image = np.random.default_rng(0).normal(size=(1, 9, 9, 9))
    arguments = np.ones((9, 9, 9), bool), (1, 1, 1), VoxelBox((1, 1, 1), (8, 8, 8)), np.array([[4, 4, 4]]), NOWHERE
    near, far = (grow_object(image + offset, *arguments, ExpansionSettings()) for offset in (0, 1e6))
    np.testing.assert_allclose(near, far, rtol=1e-5)


def test_what_cannot_be_reached_is_undefined():
    valid = [1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(
        grow_row(ONE_SIDED, 2, 9, [4], valid=valid), [2 / 3, 1 / 3, 0, 1 / 3, np.nan, np.nan, np.nan], rtol=1e-5
    )
    np.testing.assert_allclose(
        grow_row(TWO_SIDED, 2, 9, [4], valid=valid), [2 / 3, 1 / 3, 0, 1 / 5, np.nan, np.nan, np.nan], rtol=1e-5
    )


def test_a_box_that_fills_the_volume_has_no_outside_so_that_only_the_points_are_known():
    found = grow_row(TWO_SIDED, 0, 11, [4])
    np.testing.assert_array_equal(np.isnan(found), np.arange(11) != 4)
    assert found[4] == 0


def test_intensity_change_counts():
    row = [0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9]
    settings = ExpansionSettings(growth="two-sided", gradient_weight=1.0, combine="sum", smoothing=0)
    found = grow_row(settings, 2, 9, [4], row=row)
    # With lambda 1 the way to the left shell costs nothing: undefined, except at the point. Beyond the edge the way to
    # the right shell costs nothing.
    assert found[2] == 0
    assert np.isnan(found[[0, 1, 3]]).all()
    np.testing.assert_allclose(found[4:], 1)


@pytest.mark.parametrize("growth", ["one-sided", "two-sided"])
def test_a_constant_image_grows_by_length_whatever_lambda_is(growth):
    box, inside = VoxelBox((1, 1, 1), (6, 6, 6)), np.array([[3, 3, 2]])
    constant, valid = np.full((1, 7, 7, 7), 5.0, np.float32), np.ones((7, 7, 7), bool)
    found, expected = (
        grow_object(
            constant, valid, (1, 1, 2), box, inside, NOWHERE, ExpansionSettings(growth=growth, gradient_weight=weight)
        )
        for weight in (1.0, 0.0)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert 0 < np.nanmax(expected) <= 1


@given(
    seed=st.integers(0, 2**32 - 1),
    scales=st.tuples(st.sampled_from([0.001, 1, 1000]), st.sampled_from([0.001, 1, 1000])),
    offsets=st.tuples(st.integers(-3000, 3000), st.integers(-3000, 3000)),
    growth=st.sampled_from(["one-sided", "two-sided"]),
    combine=st.sampled_from(["sum", "quadrature"]),
    channels=st.integers(1, 2),
)
def test_scale_and_offset_of_each_channel_do_not_matter(seed, scales, offsets, growth, combine, channels):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 200, size=(channels, 9, 8, 7)).astype(np.float32)
    other = (image + np.reshape(offsets[:channels], (-1, 1, 1, 1))) * np.reshape(scales[:channels], (-1, 1, 1, 1))
    valid = rng.random((9, 8, 7)) < 0.9
    valid[4, 4, 3] = True
    box, inside = VoxelBox((1, 1, 1), (8, 7, 7)), np.array([[4, 4, 3]])
    settings = ExpansionSettings(growth=growth, combine=combine)
    first, second = (
        grow_object(each.astype(np.float32), valid, (1, 2, 1), box, inside, NOWHERE, settings)
        for each in (image, other)
    )
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)  # float32 of 200 on an offset of 3000


@given(
    seed=st.integers(0, 2**32 - 1),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    growth=st.sampled_from(["one-sided", "two-sided"]),
)
def test_turning_the_axes_turns_the_result(seed, order, flips, growth):
    rng = np.random.default_rng(seed)
    shape, spacing = (9, 8, 7), (1.0, 2.0, 3.0)
    image, valid = rng.normal(size=(1, *shape)).astype(np.float32), rng.random(shape) < 0.9
    box, inside, outside = VoxelBox((1, 0, 2), (8, 6, 7)), np.array([[4, 4, 3], [2, 2, 4]]), np.array([[6, 4, 4]])
    settings = ExpansionSettings(growth=growth)
    expected = grow_object(image, valid, spacing, box, inside, outside, settings)

    flipped_axes = [axis for axis in range(3) if flips[axis]]
    start, stop = np.array(box.start), np.array(box.stop)
    turned_start = np.where(flips, np.array(shape) - stop, start)[order]
    turned_stop = np.where(flips, np.array(shape) - start, stop)[order]

    def turned(array):
        return np.ascontiguousarray(np.flip(array, flipped_axes).transpose(order))

    def turned_points(points):
        return np.where(flips, np.array(shape) - 1 - points, points)[:, order]

    found = grow_object(
        turned(image[0])[None],
        turned(valid),
        tuple(np.array(spacing)[order]),
        VoxelBox(tuple(turned_start.tolist()), tuple(turned_stop.tolist())),
        turned_points(inside),
        turned_points(outside),
        settings,
    )
    np.testing.assert_allclose(found, turned(expected), rtol=1e-4, atol=1e-6)


def test_nothing_outside_box_and_shell_matters():
    rng = np.random.default_rng(3)
    image, valid = rng.normal(size=(1, 20, 20, 20)).astype(np.float32), np.ones((20, 20, 20), bool)
    box, inside = VoxelBox((5, 6, 7), (12, 13, 14)), np.array([[8, 9, 10]])
    found = grow_object(image, valid, (1, 1, 1), box, inside, NOWHERE, ExpansionSettings())
    changed = np.full_like(image, 1e6)
    changed[:, 4:13, 5:14, 6:15] = image[:, 4:13, 5:14, 6:15]
    np.testing.assert_array_equal(
        grow_object(changed, valid, (1, 1, 1), box, inside, NOWHERE, ExpansionSettings()), found
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, 100], 1.4826),  # median 3, deviations 2 1 0 1 97
        ([5, 5, 5, 5, 10], 2.0),  # more than half equal: standard deviation
        ([5, 5, 5, 5, 5], np.inf),
    ],
)
def test_intensity_scale(values, expected):
    image = np.array([*values, 1e6], np.float32).reshape(1, 6, 1, 1)
    valid = np.array([True] * 5 + [False]).reshape(6, 1, 1)
    np.testing.assert_allclose(intensity_scales(image, valid), [expected])


def test_smoothing_is_a_gaussian_mean_over_valid_voxels_by_brute_force():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 9, 1, 1)).astype(np.float32)
    valid = np.ones((9, 1, 1), bool)
    valid[6] = False
    found = smoothed(image, valid, np.array([0.8, 0, 0]))
    places = np.arange(9)
    for centre in (4, 5):  # four standard deviations, where the kernel is cut, reach no further than the row's ends
        weights = np.exp(-((places - centre) ** 2) / (2 * 0.8**2)) * valid.ravel() * (np.abs(places - centre) <= 3)
        expected = (image[:, :, 0, 0] * weights).sum(axis=1) / weights.sum()
        np.testing.assert_allclose(found[:, centre, 0, 0], expected, rtol=1e-5)


def test_no_smoothing_leaves_the_image_alone():
    image = np.ones((1, 3, 3, 3), np.float32)
    assert smoothed(image, np.ones((3, 3, 3), bool), np.zeros(3)) is image


def test_noise_misleads_a_growth_less_once_it_is_smoothed():
    """A bright ball in noise: the two sides are told apart better at ρ = 0.5."""
    rng = np.random.default_rng(0)
    offsets = np.indices((31, 31, 31)) - 15
    ball = (offsets**2).sum(axis=0) < 8**2
    image = (2 * ball + rng.normal(size=ball.shape)).astype(np.float32)[None]
    box, inside = VoxelBox((2, 2, 2), (29, 29, 29)), np.array([[15, 15, 11]])
    dice = {}
    for smoothing in (0.0, 0.2):
        settings = ExpansionSettings(smoothing=smoothing)
        ratio = grow_object(image, np.ones_like(ball), (1, 1, 1), box, inside, NOWHERE, settings)
        grown = ratio < 0.6
        truth = ball[box.slices]
        dice[smoothing] = 2 * (grown & truth).sum() / (grown.sum() + truth.sum())
    assert dice[0.2] > dice[0.0] + 0.05


def test_thresholds_must_be_in_order():
    with pytest.raises(ValidationError, match="foreground_threshold must not be above"):
        ExpansionSettings(foreground_threshold=0.9, background_threshold=0.6)
