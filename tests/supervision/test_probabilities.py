"""From annotations to probability maps of a case: what each kind gives, and which of several counts."""

from dataclasses import replace

import numpy as np
import pytest

from voxseed.data.annotations import CaseAnnotation, ObjectBox, ObjectPoints
from voxseed.data.labels import Labels
from voxseed.data.volumes import Image, Volume
from voxseed.errors import InputError
from voxseed.supervision.box_maps import box_map, growth_map
from voxseed.supervision.boxes import VoxelBox, box_of_object
from voxseed.supervision.build import build_supervision, object_boxes
from voxseed.supervision.expansion import ExpansionSettings, grow_object
from voxseed.supervision.kinds import SupervisionKind
from voxseed.supervision.point_maps import points_map
from voxseed.supervision.probabilities import hard_target
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.types import IGNORE

LABELS = Labels({"background": 0, "a": 3, "b": 7})
SHAPE = (20, 14, 12)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
SPACING = (1.0, 1.0, 2.0)
PROBABILITY = SupervisionKind.PROBABILITY
RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(1, *SHAPE)).astype(np.float32)


def mm(voxels) -> np.ndarray:
    return np.asarray(voxels, float) * SPACING


def scattered(voxels, class_name="a", number=1) -> ObjectPoints:
    return ObjectPoints(class_name, number, mm(voxels), np.empty((0, 3)))


def seven(class_name="a") -> ObjectPoints:
    outside = [[2, 6, 6], [13, 6, 6], [7, 2, 6], [7, 11, 6], [7, 6, 2], [7, 6, 9]]
    return ObjectPoints(class_name, 1, mm([[7, 6, 6]]), mm(outside))


def build(annotation, kind=PROBABILITY, valid=None, **settings):
    """What follows from an annotation; of what is neither painted nor given by objects, all classes are absent."""
    valid = np.ones(SHAPE, bool) if valid is None else valid
    mentioned = {item.class_name for item in annotation.points} | {item.class_name for item in annotation.boxes}
    if mentioned:
        annotation = replace(annotation, absent=frozenset({"a", "b"} - mentioned))
    expansion = ExpansionSettings(growth="one-sided", probability=ProbabilitySettings(**settings))
    return build_supervision(annotation, Image(ARRAY, AFFINE), LABELS, expansion, valid, "case_1", kind)


def test_the_most_probable_class_has_more_than_one_half():
    maps = np.array([[0.5, 0.51, 0.6, 0.2, 0.0], [0.5, 0.0, 0.7, 0.3, 0.0]]).reshape(2, 5, 1, 1)
    assert hard_target(maps).ravel().tolist() == [0, 1, 2, 0, 0]


def test_maps_of_another_tool_are_not_trusted():
    painted = Volume(np.full(SHAPE, 3, np.uint8), AFFINE)
    noisy, dense = (build(CaseAnnotation(name, painted=painted)) for name in ("noisy-dense", "dense"))
    np.testing.assert_array_equal(noisy.probabilities, dense.probabilities)
    assert (noisy.trusted, dense.trusted) == (False, True)


def test_each_class_has_the_map_of_its_points():
    objects = [RNG.integers(3, 9, (6, 3)) for _ in range(3)]
    points = (scattered(objects[0]), scattered(objects[1], number=2), scattered(objects[2], "b"))
    found = build(CaseAnnotation("scattered-points", points=points), sigma_mm=2.0)
    assert found.kind is PROBABILITY
    wanted = ProbabilitySettings(sigma_mm=2.0)
    np.testing.assert_allclose(found.probabilities[0], points_map(objects[:2], SHAPE, SPACING, wanted))
    np.testing.assert_allclose(found.probabilities[1], points_map(objects[2:], SHAPE, SPACING, wanted))
    np.testing.assert_array_equal(found.target, hard_target(found.probabilities))


def test_scattered_points_give_partial_methods_the_most_probable_classes():
    annotation = CaseAnnotation("scattered-points", points=(scattered([[5, 5, 5], [8, 6, 5]]),))
    partial, probable = build(annotation, SupervisionKind.PARTIAL), build(annotation)
    assert (partial.kind, partial.probabilities) == (SupervisionKind.PARTIAL, None)
    np.testing.assert_array_equal(partial.target, probable.target)
    assert set(np.unique(partial.target)) == {0, 1}


def test_seven_points_give_the_ratio_of_the_two_sided_growth_whatever_the_growth_is():
    found = build(CaseAnnotation("points", points=(seven(),)))
    box = VoxelBox((3, 3, 3), (13, 11, 9))
    outside = np.rint(seven().outside_mm / SPACING).astype(int)
    ratio = grow_object(ARRAY, np.ones(SHAPE, bool), SPACING, box, np.array([[7, 6, 6]]), outside, ExpansionSettings())
    np.testing.assert_allclose(
        found.probabilities[0][box.slices], growth_map(ratio, ProbabilitySettings().even_ratio), atol=1e-6
    )
    assert found.probabilities[0, 7, 6, 6] == 1
    found.probabilities[0][box.slices] = 0
    assert not found.probabilities.any()
    assert [(each.box_start, each.box_stop) for each in found.objects] == [(box.start, box.stop)]


def test_boxes_and_points_of_a_class_give_the_larger_of_both():
    box = ObjectBox("b", 1, mm([10, 7, 6]), np.eye(3), np.array([8.0, 8.0, 12.0]))
    alone = build(CaseAnnotation("box", boxes=(box,))).probabilities
    region = box_of_object(box, AFFINE, SHAPE)
    np.testing.assert_allclose(
        alone[1][region.slices], box_map(box, region, AFFINE, ProbabilitySettings().box_exponent)
    )
    assert not alone[0].any()
    points = scattered([[12, 7, 6], [8, 8, 6]], "b")
    both = build(CaseAnnotation("scattered-points", points=(points,), boxes=(box,))).probabilities
    dots = build(CaseAnnotation("scattered-points", points=(points,))).probabilities
    np.testing.assert_allclose(both, np.maximum(alone, dots))


def painted(planes: dict[int, int]) -> Volume:
    array = np.full(SHAPE, 8, np.uint8)  # ignore: one more than the largest
    for index, value in planes.items():
        array[index] = 0
        array[index, 4:9, 3:8] = value
    return Volume(array, AFFINE)


def test_painted_slices_are_certain_and_what_is_between_is_interpolated():
    found = build(CaseAnnotation("slices", painted=painted({4: 3, 10: 3}))).probabilities
    for index in (4, 10):
        assert (found[0, index] == (painted({index: 3}).array[index] == 3)).all()
    assert 0.5 < found[0, 7, 6, 5] < 1
    assert 0 < found[0, 7, 0, 0] < 0.5
    assert not found[1].any()


def test_what_is_painted_counts_above_points():
    annotation = CaseAnnotation(
        "scattered-points", points=(scattered([[7, 6, 6], [9, 6, 6]]),), painted=painted({7: 7})
    )
    found = build(annotation).probabilities
    assert (found[0, 7, 6, 6], found[1, 7, 6, 6]) == (0, 1)
    assert found[0, 9, 6, 6] > 0.8
    assert not found[1, 8].any()  # a single slice is not interpolated


def test_a_dense_map_is_its_own_probability():
    array = RNG.choice(np.array([0, 3, 7], np.uint8), SHAPE)
    found = build(CaseAnnotation("dense", painted=Volume(array, AFFINE)))
    np.testing.assert_array_equal(found.probabilities, np.stack([array == 3, array == 7]))


def test_voxels_that_are_not_valid_are_background():
    valid = np.ones(SHAPE, bool)
    valid[:8] = False
    found = build(CaseAnnotation("scattered-points", points=(scattered([[7, 6, 6], [9, 6, 6]]),)), valid=valid)
    assert not found.probabilities[:, :8].any()
    assert found.probabilities[0, 9, 6, 6] > 0


def test_a_case_that_is_said_to_be_empty_is_background():
    found = build(CaseAnnotation("scattered-points", absent=frozenset({"a", "b"})))
    assert not found.probabilities.any()
    assert found.absent == {1, 2}


@pytest.mark.parametrize(
    "annotation",
    [
        CaseAnnotation("scribbles", painted=painted({4: 3})),
        CaseAnnotation("scattered-points", absent=frozenset({"a"})),
    ],
)
def test_what_gives_no_probability_is_refused(annotation):
    with pytest.raises(InputError, match="Case case_1: nothing there gives a probability; expected points, a box"):
        build(annotation)


def test_a_point_outside_the_image_is_refused():
    with pytest.raises(InputError, match=r"Case case_1, a: a point lies outside the image of shape \(20, 14, 12\)"):
        build(CaseAnnotation("scattered-points", points=(scattered([[30, 5, 5]]),)))


def test_a_box_beside_the_image_is_refused():
    box = ObjectBox("b", 1, mm([50, 7, 6]), np.eye(3), np.array([8.0, 8.0, 12.0]))
    with pytest.raises(InputError, match="Case case_1: the box of b holds no voxel of the image"):
        build(CaseAnnotation("box", boxes=(box,)))


def test_the_box_of_scattered_points_is_the_one_that_they_span():
    annotation = CaseAnnotation("scattered-points", points=(scattered([[5, 9, 5], [8, 6, 5]]),))
    assert object_boxes(annotation, Image(ARRAY, AFFINE)) == [((5, 6, 5), (9, 10, 6))]


def test_ignore_stays_out_of_targets():
    assert IGNORE not in build(CaseAnnotation("slices", painted=painted({4: 3, 10: 3}))).target
