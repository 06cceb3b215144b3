"""Simulated annotations: hand-made labels, invariances, and that they can be written, read back and built on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxseed.data.labels import Labels
from voxseed.data.object_checks import voxel_indices
from voxseed.data.point_roles import DIRECTIONS, direction_labels
from voxseed.data.protocols.base import PROTOCOLS, SimulationSettings, generator
from voxseed.data.volumes import Image
from voxseed.errors import UnknownNameError
from voxseed.supervision.boxes import box_of_object, box_of_points
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.types import IGNORE

LABELS = Labels({"background": 0, "a": 1, "b": 2})
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = TURN * [-1.0, 1.5, 3.0]
OBLIQUE[:3, 3] = [5, -7, 11]
DEFAULT = SimulationSettings()


def blob(shape=(30, 28, 20), center=(14, 12, 9), radii=(7, 5, 4), class_index=1):
    grid = np.indices(shape)
    distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, center, radii, strict=True))
    return (distance <= 1).astype(np.uint8) * np.uint8(class_index)


def simulate(protocol, label, affine=OBLIQUE, settings=DEFAULT, seed=0, case="case_1"):
    return PROTOCOLS.get(protocol)(label, affine, LABELS, generator(seed, case), settings)


def voxels(points_mm, affine=OBLIQUE):
    indices = voxel_indices(points_mm, affine)
    np.testing.assert_allclose(points_mm, indices @ affine[:3, :3].T + affine[:3, 3], atol=1e-9)  # exact centres
    return indices


def test_all_protocols_are_there_and_an_unknown_one_lists_them():
    assert {"box", "dense", "extreme-points", "points"} <= set(PROTOCOLS.names())
    with pytest.raises(UnknownNameError, match=r"Unknown protocol 'point'. Did you mean 'points'\? Known: box, dense"):
        PROTOCOLS.get("point")


@given(seed=st.integers(0, 1000), margin=st.tuples(st.integers(1, 4), st.integers(0, 4)))
def test_outside_points_lie_beyond_each_extreme_by_the_margin_and_clipped_to_the_volume(seed, margin):
    low, high = margin[0], margin[0] + margin[1]
    label = blob()
    (item,) = simulate(
        "points", label, settings=SimulationSettings(margin_voxels=(low, high)), seed=seed
    ).annotation.points
    first, last = np.argwhere(label).min(axis=0), np.argwhere(label).max(axis=0)
    outside = voxels(item.outside_mm)
    for axis in range(3):
        below, above = outside[2 * axis], outside[2 * axis + 1]
        assert low <= first[axis] - below[axis] <= high or below[axis] == 0
        assert low <= above[axis] - last[axis] <= high or above[axis] == label.shape[axis] - 1
        others = [other for other in range(3) if other != axis]
        for point in (below, above):  # near the object: in line with a voxel of it
            line = [slice(None)] * 3
            for other in others:
                line[other] = point[other]
            assert label[tuple(line)].any()
    assert not label[tuple(outside.T)].any()
    assert label[tuple(voxels(item.inside_mm).T)].all()


def test_directions_are_the_patients():
    (item,) = simulate("points", blob()).annotation.points
    names = direction_labels(item.outside_mm, OBLIQUE)
    assert sorted(names) == sorted(DIRECTIONS)
    # The first voxel axis runs to the patient's left, because its column points to negative x.
    assert names == ["right", "left", "posterior", "anterior", "inferior", "superior"]


def test_one_inside_point_is_near_the_deepest_voxel_in_mm():
    label = blob(radii=(7, 5, 4))
    for seed in range(20):
        (item,) = simulate("points", label, affine=np.eye(4), seed=seed).annotation.points
        assert np.linalg.norm(item.inside_mm[0] - (14, 12, 9)) <= 5 / 2 + 1e-9


@pytest.mark.parametrize("protocol", ["points", "extreme-points"])
def test_further_inside_points_are_spread_over_a_bent_object(protocol):
    label = np.zeros((40, 30, 9), np.uint8)
    label[3:37, 3:9, 2:7] = 1
    label[31:37, 3:27, 2:7] = 1  # an L
    (item,) = simulate(protocol, label, np.eye(4), SimulationSettings(inside_points=3)).annotation.points
    inside = voxels(item.inside_mm, np.eye(4))
    assert len(inside) == 3
    assert label[tuple(inside.T)].all()
    distances = [np.linalg.norm(a - b) for number, a in enumerate(inside) for b in inside[:number]]
    assert min(distances) > 12
    assert (inside[:, 0] < 12).any()
    assert (inside[:, 1] > 18).any()


def test_more_inside_points_than_voxels():
    label = np.zeros((9, 9, 9), np.uint8)
    label[4, 4, 3:5] = 1
    (item,) = simulate("points", label, settings=SimulationSettings(inside_points=5)).annotation.points
    assert 1 <= len(item.inside_mm) <= 2


def test_each_part_of_each_class_is_an_object_and_specks_are_counted():
    label = blob(center=(8, 8, 9), radii=(3, 3, 3))
    label += blob(center=(20, 18, 9), radii=(5, 5, 4))
    label[28, 2, 2:5] = 1  # 3 voxels
    label[2, 25, 2] = 2  # the only part of its class, however small
    found = simulate("points", label)
    points = found.annotation.points
    assert [(item.class_name, item.object_number) for item in points] == [("a", 1), ("a", 2), ("b", 1)]
    assert (found.objects, found.skipped) == ({"a": 2, "b": 1}, {"a": 1, "b": 0})
    assert np.linalg.norm(voxels(points[0].inside_mm)[0] - (20, 18, 9)) < 5  # the largest first
    kept = simulate("points", label, settings=SimulationSettings(min_object_voxels=3))
    assert (kept.objects, kept.skipped) == ({"a": 3, "b": 1}, {"a": 0, "b": 0})


def test_parts_that_touch_at_a_corner_are_one_object():
    label = np.zeros((12, 12, 12), np.uint8)
    label[2:5, 2:5, 2:5] = label[5:8, 5:8, 5:8] = 1
    assert simulate("points", label).objects == {"a": 1, "b": 0}


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box", "dense"])
def test_a_class_without_voxels_is_absent(protocol):
    assert simulate(protocol, blob()).annotation.absent == {"b"}


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box"])
def test_seeded_by_case_independently_of_others(protocol):
    label = blob()

    def coordinates(**arguments):
        annotation = simulate(protocol, label, **arguments).annotation
        return np.concatenate(
            [
                *(np.concatenate([item.inside_mm, item.outside_mm]).ravel() for item in annotation.points),
                *(np.concatenate([box.center_mm, box.size_mm]) for box in annotation.boxes),
            ]
        )

    np.testing.assert_array_equal(coordinates(), coordinates())
    assert not np.array_equal(coordinates(), coordinates(seed=1))
    assert not np.array_equal(coordinates(), coordinates(case="case_2"))


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box", "dense", "scattered-points"])
@pytest.mark.parametrize(("ignored", "absent"), [(False, {"b"}), (True, set())])
def test_a_class_is_absent_only_where_everything_was_looked_at(protocol, ignored, absent):
    label = blob()
    if ignored:
        label[0] = IGNORE
    assert simulate(protocol, label).annotation.absent == absent


def test_extreme_points_are_on_the_object():
    label = blob()
    (item,) = simulate("extreme-points", label).annotation.points
    extremes = voxels(item.outside_mm)
    assert label[tuple(extremes.T)].all()
    np.testing.assert_array_equal(extremes.min(axis=0), np.argwhere(label).min(axis=0))
    np.testing.assert_array_equal(extremes.max(axis=0), np.argwhere(label).max(axis=0))


def test_jitter_moves_extreme_points_along_their_axis_but_not_past_the_inside_point():
    label = blob(radii=(2, 2, 1))
    settings = SimulationSettings(jitter_voxels=3)
    first, last = np.argwhere(label).min(axis=0), np.argwhere(label).max(axis=0)
    moves = set()
    for seed in range(30):
        (item,) = simulate("extreme-points", label, settings=settings, seed=seed).annotation.points
        extremes, inside = voxels(item.outside_mm), voxels(item.inside_mm)[0]
        low, high = extremes[[0, 2, 4], [0, 1, 2]], extremes[[1, 3, 5], [0, 1, 2]]
        assert (low <= inside).all()
        assert (high >= inside).all()
        moves |= {*(first - low).tolist(), *(high - last).tolist()}
    assert {-1, 0, 1, 2, 3} <= moves <= {-3, -2, -1, 0, 1, 2, 3}


@given(seed=st.integers(0, 1000))
def test_a_box_holds_its_object_with_the_margin_on_each_side(seed):
    label = blob()
    (box,) = simulate("box", label, settings=SimulationSettings(margin_voxels=(2, 6)), seed=seed).annotation.boxes
    found = box_of_object(box, OBLIQUE, label.shape)
    first, last = np.argwhere(label).min(axis=0), np.argwhere(label).max(axis=0)
    margins = np.array([first - found.start, np.array(found.stop) - 1 - last])
    clipped = np.array([np.equal(found.start, 0), np.equal(found.stop, label.shape)])
    assert ((margins >= 2) | clipped).all()
    assert (margins <= 6).all()
    assert np.linalg.det(box.axes) == pytest.approx(1)
    np.testing.assert_allclose(box.axes.T @ box.axes, np.eye(3), atol=1e-9)


def test_dense_is_the_label_itself():
    label = blob(class_index=2)
    labels = Labels({"background": 0, "a": 4, "b": 9})
    found = PROTOCOLS.get("dense")(label, OBLIQUE, labels, generator(0, "c"), DEFAULT)
    np.testing.assert_array_equal(found.annotation.painted.array, np.where(label == 2, 9, 0))
    np.testing.assert_array_equal(found.annotation.painted.affine, OBLIQUE)


def test_where_the_object_reaches_the_volumes_face_the_point_lies_beside_it_and_the_box_reaches_the_face():
    label = blob(center=(0, 27, 9))
    (item,) = simulate("points", label).annotation.points
    outside = voxels(item.outside_mm)
    assert outside[0][0] == 0
    assert outside[3][1] == 27
    assert not label[tuple(outside.T)].any()
    box = box_of_points(outside, label.shape, faces_inside=False)
    assert (box.start[0], box.stop[1]) == (0, 28)
    assert label[box.slices].sum() == label.sum()


def test_a_slice_thick_object_in_a_slice_thick_volume():
    label = np.zeros((20, 20, 1), np.uint8)
    label[5:12, 6:15] = 1
    (item,) = simulate("points", label).annotation.points
    box = box_of_points(voxels(item.outside_mm), label.shape, faces_inside=False)
    assert label[box.slices].sum() == label.sum()


@pytest.mark.parametrize("protocol", ["points", "extreme-points", "box"])
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(*[st.integers(1, 9)] * 3), inside_points=st.integers(1, 3))
def test_what_is_simulated_can_be_built_on_and_every_box_holds_its_object(protocol, seed, shape, inside_points):
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 0, 0, 1, 2], size=shape).astype(np.uint8)
    settings = SimulationSettings(inside_points=inside_points, min_object_voxels=1)
    annotation = simulate(protocol, label, settings=settings, seed=seed).annotation
    image = Image(rng.normal(size=(1, *shape)).astype(np.float32), OBLIQUE)
    found = build_supervision(annotation, image, LABELS, ExpansionSettings(), np.ones(shape, bool), "case_1")
    boxed = np.zeros(shape, bool)
    for item in found.objects:
        boxed[tuple(slice(*ends) for ends in zip(item.box_start, item.box_stop, strict=True))] = True
    assert boxed[label > 0].all()
    for item in annotation.points:
        assert (found.target[tuple(voxels(item.inside_mm).T)] == LABELS.class_index(item.class_name)).all()


@pytest.mark.parametrize("margin", [(0, 3), (4, 2)])
def test_margins_must_be_in_order_and_positive(margin):
    with pytest.raises(ValidationError, match="1 <= least <= greatest"):
        SimulationSettings(margin_voxels=margin)


def sliced(settings, shape=(24, 30, 40), affine=OBLIQUE, seed=0, label=None):
    """Simulated slices: annotated voxels (I, J, K), and the simulation."""
    label = np.ones(shape, np.uint8) if label is None else label
    simulation = simulate("slices", label, affine, SimulationSettings(**settings), seed)
    return simulation.annotation.painted.array != LABELS.next_ignore_value, simulation


def whole_slices(annotated, axis):
    """Indices of slices across an axis that are annotated everywhere."""
    return np.flatnonzero(annotated.all(axis=tuple(other for other in range(3) if other != axis))).tolist()


@given(seed=st.integers(0, 1000), every=st.integers(2, 14))
def test_slices_have_one_random_offset_and_twice_it_in_the_second_plane(seed, every):
    annotated, _ = sliced({"every_slices": every}, seed=seed)
    axial = whole_slices(annotated, 2)
    offset = axial[0]
    assert offset < every
    assert axial == list(range(offset, 40, every))
    assert whole_slices(annotated, 1) == list(range(2 * offset, 30, 2 * every))
    others = np.delete(np.delete(annotated, axial, axis=2), whole_slices(annotated, 1), axis=1)
    assert not others.any()


@pytest.mark.parametrize(
    ("wanted", "planes", "distance"),
    [(16, ("axial", "coronal"), 3), (4, ("axial", "coronal"), 14), (10, ("axial",), 4), (100, ("axial", "coronal"), 1)],
)
def test_the_number_of_slices_gives_their_distance(wanted, planes, distance):
    """Both planes together have 40 + 30 / 2 = 55 places, of which every `distance`-th is annotated."""
    annotated, _ = sliced({"slices_per_volume": wanted, "planes": planes}, seed=3)
    assert set(np.diff(whole_slices(annotated, 2))) == {distance}


def test_every_offset_occurs():
    offsets = {whole_slices(sliced({"every_slices": 5}, seed=seed)[0], 2)[0] for seed in range(60)}
    assert offsets == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("planes", "axes"),
    [(("axial", "coronal"), (0, 1)), (("sagittal", "axial"), (2, 0)), (("coronal",), (1,))],
)
def test_planes_are_the_patients(planes, axes):
    affine = np.array([[0, 0, -2.0, 0], [0, 1.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])  # axes run S, A, L
    annotated, _ = sliced({"planes": planes, "every_slices": 6}, affine=affine)
    found = [axis for axis in range(3) if whole_slices(annotated, axis)]
    assert sorted(axes) == found
    steps = [np.diff(whole_slices(annotated, axis)) for axis in axes]
    assert [set(step.tolist()) for step in steps] == [{6}, {12}][: len(axes)]


@pytest.mark.parametrize("seed", range(6))
def test_each_plane_has_a_slice_however_few_there_are(seed):
    annotated, _ = sliced({"every_slices": 12}, shape=(8, 5, 3), affine=np.eye(4), seed=seed)
    assert len(whole_slices(annotated, 2)) == len(whole_slices(annotated, 1)) == 1


def test_slices_hold_the_label_and_leave_the_rest_unannotated():
    label = blob(center=(9, 12, 9), radii=(6, 5, 4)) + blob(center=(22, 12, 9), radii=(3, 3, 3), class_index=2)
    label[0, 0, 19] = 1  # a speck
    annotated, simulation = sliced({"every_slices": 4, "planes": ("axial",)}, label=label, affine=np.eye(4), seed=1)
    painted = simulation.annotation.painted.array
    np.testing.assert_array_equal(painted[annotated], label[annotated])
    assert set(np.unique(painted)) == {0, 1, 2, 3}
    assert (painted[~annotated] == LABELS.next_ignore_value).all()
    assert simulation.annotation.absent == frozenset()
    speck_is_met = bool(annotated[0, 0, 19])
    assert simulation.objects == {"a": 1 + speck_is_met, "b": 1}
    assert simulation.skipped == {"a": 1 - speck_is_met, "b": 0}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"planes": ("axial", "axial")}, "expected two different planes, found axial twice"),
        ({"planes": ()}, "at least 1 item"),
        ({"planes": ("axial", "coronal", "sagittal")}, "at most 2 items"),
        ({"planes": ("oblique",)}, "Input should be 'sagittal', 'coronal' or 'axial'"),
        ({"every_slices": 1}, "greater than or equal to 2"),
    ],
)
def test_wrong_slices_are_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        SimulationSettings(**changes)
