"""From annotations to targets: hand-made cases with one object, several, and none."""

from dataclasses import replace

import numpy as np
import pytest

from voxseed.data.annotations import CaseAnnotation, ObjectBox, ObjectPoints
from voxseed.data.labels import Labels
from voxseed.data.volumes import Image, Volume
from voxseed.errors import InputError, ShapeError
from voxseed.supervision.build import build_supervision, dense_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.types import IGNORE

LABELS = Labels({"background": 0, "a": 3, "b": 7})
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 1.5, 0, -4], [0, 0, 1, 9], [0, 0, 0, 1]])
SHAPE = (24, 12, 12)
LENGTH_ONLY = ExpansionSettings(growth="two-sided", gradient_weight=0.0)
ONE_SIDED = ExpansionSettings(growth="one-sided", gradient_weight=0.0)


def mm(voxels):
    return np.asarray(voxels, float) @ AFFINE[:3, :3].T + AFFINE[:3, 3]


def points(low, high, inside, class_name="a", number=1):
    """An object whose six outside points have these smallest and largest indices."""
    outside = np.tile((np.array(low) + high) // 2, (6, 1))
    for axis in range(3):
        outside[2 * axis, axis], outside[2 * axis + 1, axis] = low[axis], high[axis]
    return ObjectPoints(class_name, number, mm(np.atleast_2d(inside)), mm(outside))


def build(annotation, settings=LENGTH_ONLY, array=None, valid=None, kind=SupervisionKind.PARTIAL, is_complete=True):
    """What follows from an annotation; classes that it does not mention are absent, if it is complete."""
    if is_complete and (annotation.points or annotation.boxes):
        mentioned = {item.class_name for item in annotation.points} | {item.class_name for item in annotation.boxes}
        annotation = replace(annotation, absent=frozenset({"a", "b"} - mentioned))
    image = Image(np.zeros((1, *SHAPE), np.float32) if array is None else array, AFFINE)
    valid = np.ones(SHAPE, bool) if valid is None else valid
    return build_supervision(annotation, image, LABELS, settings, valid, "case_1", kind)


def test_one_object_one_sided_leaves_the_rest_of_its_box_unlabelled():
    found = build(CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),)), ONE_SIDED)
    assert found.kind is SupervisionKind.PARTIAL
    assert found.target.dtype == np.uint8
    assert [(o.class_index, o.box_start, o.box_stop) for o in found.objects] == [(1, (4, 3, 3), (13, 10, 10))]
    inside_box = np.zeros(SHAPE, bool)
    inside_box[4:13, 3:10, 3:10] = True
    assert (found.target[~inside_box] == 0).all()
    assert set(np.unique(found.target[inside_box])) == {1, IGNORE}
    assert found.target[8, 6, 6] == 1
    np.testing.assert_array_equal(found.affine, AFFINE)


def test_two_sided_labels_background_next_to_the_faces():
    found = build(CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),)))
    assert set(np.unique(found.target[4:13, 3:10, 3:10])) == {0, 1, IGNORE}
    # Along the first axis, 2 mm steps and shell at 3 and 13: 1, 2, 3, 4 of 5 steps.
    # In the others the shell is 4 steps away; a corner of the box is nearest to three shells.
    assert found.target[4, 3, 3] == 0
    assert found.target[9, 6, 6] == 1


def test_with_extreme_points_the_faces_may_be_the_object():
    annotation = CaseAnnotation("extreme-points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),))
    found = build(annotation, ONE_SIDED)
    assert (found.objects[0].box_start, found.objects[0].box_stop) == ((3, 2, 2), (14, 11, 11))
    assert found.target[3, 6, 6] == IGNORE
    flat = build(CaseAnnotation("extreme-points", (points((3, 5, 2), (13, 5, 10), (8, 5, 6)),)), ONE_SIDED)
    assert flat.target[8, 5, 6] == 1
    assert (flat.target[:, 4] == 0).all()


@pytest.mark.parametrize("settings", [LENGTH_ONLY, ONE_SIDED])
def test_where_a_class_is_not_mentioned_it_may_be_anywhere(settings):
    annotation = CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),))
    valid = np.ones(SHAPE, bool)
    valid[20:] = False
    complete = build(annotation, settings, valid=valid).target
    found = build(annotation, settings, valid=valid, is_complete=False).target
    assert (found[20:] == 0).all()
    np.testing.assert_array_equal(found[:20], np.where(complete == 0, IGNORE, complete)[:20])
    with pytest.raises(InputError, match="nothing says where 'b' is"):
        build(annotation, settings, kind=SupervisionKind.PROBABILITY, is_complete=False)


def test_what_is_painted_outside_the_valid_region_counts_for_every_kind():
    painted = np.full(SHAPE, LABELS.next_ignore_value)
    painted[0, 0, 0] = LABELS["a"]
    valid = np.ones(SHAPE, bool)
    valid[0] = False
    annotation = CaseAnnotation(
        "points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),), painted=Volume(painted, AFFINE)
    )
    for kind in (SupervisionKind.PARTIAL, SupervisionKind.PROBABILITY):
        assert build(annotation, valid=valid, kind=kind).target[0, 0, :2].tolist() == [1, 0]


def test_every_inside_point_is_foreground():
    found = build(CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), [(5, 4, 4), (11, 8, 8)]),)))
    assert found.target[5, 4, 4] == found.target[11, 8, 8] == 1


def test_where_boxes_overlap_a_voxel_is_background_only_if_both_say_so():
    objects = (points((0, 1, 1), (13, 11, 11), (4, 6, 6)), points((8, 1, 1), (23, 11, 11), (18, 6, 6), "b"))
    both = build(CaseAnnotation("points", objects)).target
    first, second = (build(CaseAnnotation("points", (item,))).target for item in objects)
    overlap = np.zeros(SHAPE, bool)
    overlap[9:13, 2:11, 2:11] = True
    assert (both[overlap & (first == 0) & (second == 0)] == 0).all()
    assert (both[overlap & ((first == IGNORE) | (second == IGNORE))] != 0).all()
    # Outside its own box an object has no say: there the other one alone decides.
    only_first = np.zeros(SHAPE, bool)
    only_first[:9] = True
    np.testing.assert_array_equal(both[only_first], first[only_first])
    assert (overlap & (both == 0)).any()
    assert (overlap & (both == IGNORE)).any()


@pytest.mark.parametrize("settings", [LENGTH_ONLY, ONE_SIDED])
@pytest.mark.parametrize(("other_class", "other_index"), [("b", 2), ("a", 1)])
def test_where_expansions_meet_the_smaller_ratio_wins(settings, other_class, other_index):
    low, high = (1, 1, 1), (22, 10, 10)
    settings = settings.model_copy(update={"foreground_threshold": 0.8, "epsilon": 0.9})
    objects = (points(low, high, (8, 6, 6)), points(low, high, (15, 6, 6), other_class, 2))
    target = build(CaseAnnotation("points", objects), settings).target
    # The two are mirror images about 11.5 in one box, up to the distances to its ends.
    assert target[8, 6, 6] == target[10, 6, 6] == 1
    assert target[13, 6, 6] == target[15, 6, 6] == other_index
    swapped = build(CaseAnnotation("points", objects[::-1]), settings).target
    np.testing.assert_array_equal(target, swapped)


def test_touching_objects_of_different_brightness_are_told_apart():
    array = np.zeros((1, *SHAPE), np.float32)
    truth = np.zeros(SHAPE, np.uint8)
    truth[5:11, 3:9, 3:9], truth[11:17, 3:9, 3:9] = 1, 2
    array[0] = np.array([0, 100, 200])[truth] + np.random.default_rng(0).normal(0, 5, SHAPE)
    objects = (points((3, 1, 1), (12, 10, 10), (8, 6, 6)), points((9, 1, 1), (18, 10, 10), (14, 6, 6), "b"))
    target = build(CaseAnnotation("points", objects), ExpansionSettings(), array).target
    for index in (1, 2):
        assert (truth[target == index] == index).all()
        assert (target == index).sum() > 0.2 * (truth == index).sum()


def test_what_is_not_valid_is_background_and_cannot_be_crossed():
    valid = np.ones(SHAPE, bool)
    valid[10] = False
    found = build(CaseAnnotation("points", (points((3, 2, 2), (18, 10, 10), (6, 6, 6)),)), ONE_SIDED, valid=valid)
    assert (found.target[10] == 0).all()
    assert (found.target[11:18, 3:10, 3:10] == IGNORE).all()


def test_boxes_leave_their_inside_unlabelled():
    box = ObjectBox("b", 1, mm((8, 5, 5)), np.eye(3), np.array([5 * 2.0, 3 * 1.5, 7 * 1.0]))
    found = build(CaseAnnotation("box", boxes=(box,)))
    expected = np.zeros(SHAPE, np.uint8)
    expected[6:11, 4:7, 2:9] = IGNORE
    np.testing.assert_array_equal(found.target, expected)
    assert [(o.class_index, o.box_start, o.box_stop) for o in found.objects] == [(2, (6, 4, 2), (11, 7, 9))]


def test_boxes_alone_leave_points_out_but_not_what_is_painted():
    painted = np.full(SHAPE, 8, np.uint8)
    painted[8, 6, 6] = 3
    objects = (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),)
    found = build(CaseAnnotation("points", objects, painted=Volume(painted, AFFINE)), kind=SupervisionKind.BOXES)
    expected = np.zeros(SHAPE, np.uint8)
    expected[4:13, 3:10, 3:10] = IGNORE
    expected[8, 6, 6] = 1
    np.testing.assert_array_equal(found.target, expected)
    assert found.kind is SupervisionKind.BOXES
    assert found.objects == build(CaseAnnotation("points", objects)).objects
    with pytest.raises(InputError, match="case_1, a: no voxel lies between the outside points"):
        build(CaseAnnotation("points", (points((3, 2, 2), (3, 10, 10), (3, 6, 6)),)), kind=SupervisionKind.BOXES)


def test_what_a_tool_labelled_is_not_trusted_and_says_nothing_about_what_it_lacks():
    painted = np.zeros(SHAPE, np.uint8)
    painted[5:9] = 3
    noisy, dense = (build(CaseAnnotation(name, painted=Volume(painted, AFFINE))) for name in ("noisy-dense", "dense"))
    np.testing.assert_array_equal(noisy.target, dense.target)
    assert (noisy.trusted, noisy.absent) == (False, frozenset())
    assert (dense.trusted, dense.absent) == (True, frozenset({2}))


def test_painted_maps_are_taken_as_they_are():
    painted = np.full(SHAPE, 8, np.uint8)  # ignore comes after 7
    painted[:2], painted[5], painted[7] = 0, 3, 7
    found = build(CaseAnnotation("scribbles", painted=Volume(painted, AFFINE), absent=frozenset({"b"})))
    expected = np.full(SHAPE, IGNORE, np.uint8)
    expected[:2], expected[5], expected[7] = 0, 1, 2
    np.testing.assert_array_equal(found.target, expected)
    assert (found.kind, found.absent, found.objects) == (SupervisionKind.PARTIAL, frozenset({2}), ())


def test_what_is_painted_on_top_of_points_wins():
    painted = np.full(SHAPE, 8, np.uint8)
    painted[8, 6, 6], painted[0, 0, 0] = 0, 7
    annotation = CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),), (), Volume(painted, AFFINE))
    target = build(annotation).target
    assert (target[8, 6, 6], target[0, 0, 0], target[8, 6, 7]) == (0, 2, 1)


@pytest.mark.parametrize(("absent", "value"), [({"a", "b"}, 0), ({"a"}, IGNORE)])
def test_a_case_without_objects_is_background_only_if_every_class_is_absent(absent, value):
    assert (build(CaseAnnotation("points", absent=frozenset(absent))).target == value).all()


def test_a_dense_label_with_ignored_voxels_says_nothing_about_what_it_lacks():
    labels = LABELS.with_ignore()
    array = np.zeros(SHAPE, np.uint8)
    assert dense_supervision(Volume(array, AFFINE), labels).absent == {1, 2}
    array[0, 0, 0] = 8
    assert dense_supervision(Volume(array, AFFINE), labels).absent == frozenset()


def test_dense():
    label = np.zeros(SHAPE, np.uint8)
    label[3:5] = 7
    direct = dense_supervision(Volume(label, AFFINE), LABELS)
    built = build(CaseAnnotation("dense", painted=Volume(label, AFFINE)))
    for found in (direct, built):
        np.testing.assert_array_equal(found.target, np.where(label == 7, 2, 0))
        assert (found.kind, found.absent) == (SupervisionKind.DENSE, frozenset({1}))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            points((3, 2, 2), (13, 10, 10), (-3, 6, 6)),
            r"case_1, a: inside point at voxel \[-3, 6, 6\] .*outside the",
        ),
        (
            points((3, 2, 2), (13, 10, 10), (20, 6, 6), "b", 2),
            r"Case case_1, b#2: inside point at voxel \[20, 6, 6\] .*outside its box",
        ),
        (points((3, 2, 2), (13, 10, 10), (3, 6, 6)), "outside its box"),  # on a face, which is outside the object
        (points((3, 2, 2), (4, 10, 10), (3, 6, 6)), "no voxel lies between the outside points"),
    ],
)
def test_points_that_make_no_sense(item, message):
    with pytest.raises(InputError, match=message):
        build(CaseAnnotation("points", (item,)))


def test_an_object_in_constant_background_is_an_error():
    with pytest.raises(InputError, match="case_1, a: no inside point lies in the valid region"):
        build(CaseAnnotation("points", (points((3, 2, 2), (13, 10, 10), (8, 6, 6)),)), valid=np.zeros(SHAPE, bool))


def test_a_box_beside_the_image():
    box = ObjectBox("a", 1, mm((99, 5, 5)), np.eye(3), np.full(3, 4.0))
    with pytest.raises(InputError, match="case_1: the box of a holds no voxel"):
        build(CaseAnnotation("box", boxes=(box,)))


@pytest.mark.parametrize(("shape", "shift"), [((24, 12, 11), 0.0), (SHAPE, 1.0)])
@pytest.mark.parametrize("protocol", ["scribbles", "dense"])
def test_a_painted_map_on_another_grid(shape, shift, protocol):
    affine = AFFINE + np.eye(4)[3] * [[shift], [0], [0], [0]]
    with pytest.raises(InputError, match=r"case_1: the painted map, .* does not lie on the voxels of the image"):
        build(CaseAnnotation(protocol, painted=Volume(np.zeros(shape, np.uint8), affine)))


def test_a_valid_region_of_another_shape():
    with pytest.raises(ShapeError, match=r"\(24, 12, 12\), found \(1, 2, 3\)"):
        build(CaseAnnotation("points"), valid=np.ones((1, 2, 3), bool))
