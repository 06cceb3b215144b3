import json
from dataclasses import replace

import numpy as np
import pytest

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation, ObjectBox, ObjectPoints
from voxseed.data.datasets import Dataset
from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError, UnknownNameError

LABELS = Labels({"background": 0, "tumour": 1, "cyst": 2})
IGNORED = 3
GRID = Grid((40, 50, 60), np.diag([-1.0, 2.0, 3.0, 1.0]))
OUTSIDE_VOXELS = np.array([[5, 20, 30], [25, 20, 30], [15, 10, 30], [15, 30, 30], [15, 20, 20], [15, 20, 40]])
INSIDE_VOXELS = np.array([[15, 20, 30]])


def mm(voxels):
    return np.asarray(voxels) * [-1.0, 2.0, 3.0]


def tumour(number=1, shift=0):
    return ObjectPoints("tumour", number, mm(INSIDE_VOXELS + shift), mm(OUTSIDE_VOXELS + shift))


def painted(*values):
    array = np.full(GRID.shape, IGNORED, np.uint8)
    array[0, 0, : len(values)] = values
    return Volume(array, GRID.affine)


BOX = ObjectBox("cyst", 1, mm([15, 20, 30]), np.eye(3), np.array([4.0, 5, 6]))


@pytest.fixture
def empty_set(tmp_path):
    return AnnotationSet.create(tmp_path / "anna", LABELS, "points", seed=7, author="Anna", grid_of=lambda case: GRID)


def reopen(annotation_set):
    return AnnotationSet.open(annotation_set.path, LABELS, grid_of=lambda case: GRID)


def change_json(annotation_set, **changes):
    path = annotation_set.path / "annotations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_new_set_says_what_it_is(empty_set):
    found = reopen(empty_set)
    assert (found.name, found.protocol, found.seed, found.author) == ("anna", "points", 7, "Anna")
    assert found.cases == ()
    assert found.labels == {"background": 0, "tumour": 1, "cyst": 2, "ignore": IGNORED}
    assert json.loads((found.path / "annotations.json").read_text()) == {
        "version": 1,
        "protocol": "points",
        "labels": {"background": 0, "tumour": 1, "cyst": 2, "ignore": 3},
        "seed": 7,
        "author": "Anna",
    }


def test_everything_written_is_read_back(empty_set):
    annotation = CaseAnnotation("points", (tumour(), tumour(2, shift=3)), (BOX,), painted(0, 2), frozenset())
    empty_set.write("b", annotation)
    empty_set.write("a", CaseAnnotation("points", absent=frozenset({"tumour", "cyst"})))
    assert empty_set.cases == reopen(empty_set).cases == ("a", "b")
    assert {path.name for path in (empty_set.path / "b").iterdir()} == {
        "tumour.mrk.json",
        "tumour#2.mrk.json",
        "cyst.box.mrk.json",
    }
    found = reopen(empty_set).read("b")
    assert found.protocol == "points"
    assert {(points.class_name, points.object_number) for points in found.points} == {("tumour", 1), ("tumour", 2)}
    for points in found.points:
        expected = annotation.points[points.object_number - 1]
        np.testing.assert_allclose(points.inside_mm, expected.inside_mm)
        np.testing.assert_allclose(points.outside_mm, expected.outside_mm)
    (box,) = found.boxes
    np.testing.assert_allclose(box.center_mm, BOX.center_mm)
    np.testing.assert_array_equal(found.painted.array, annotation.painted.array)
    assert reopen(empty_set).read("a").absent == {"tumour", "cyst"}
    assert reopen(empty_set).annotated_classes(found) == {"tumour", "cyst"}


def test_writing_again_replaces_what_was_there(empty_set):
    empty_set.write("a", CaseAnnotation("points", (tumour(), tumour(2)), (BOX,), painted(0, 2)))
    empty_set.write("a", CaseAnnotation("points", (tumour(2, shift=1),), absent=frozenset({"cyst"})))
    found = reopen(empty_set).read("a")
    (points,) = found.points
    assert points.object_number == 2
    assert (found.boxes, found.painted, found.absent) == ((), None, {"cyst"})
    empty_set.write("a", CaseAnnotation("points", (tumour(),)))
    assert reopen(empty_set).read("a").absent == frozenset()


def test_class_names_that_no_file_can_have_are_kept(tmp_path):
    labels = Labels.of_foreground(["grade I/II", "a:b"])
    annotations = AnnotationSet.create(tmp_path / "set", labels, "points")
    objects = tuple(replace(tumour(), class_name=name) for name in labels.foreground)
    annotations.write("a", CaseAnnotation("points", objects))
    found = AnnotationSet.open(tmp_path / "set", labels).read("a")
    assert {points.class_name for points in found.points} == set(labels.foreground)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_painted_maps_are_written_with_the_ending_of_the_dataset_and_read_with_any(tmp_path, ending):
    annotations = AnnotationSet.create(tmp_path / "set", LABELS, "scribbles", file_ending=ending)
    annotations.write("a", CaseAnnotation("scribbles", painted=painted(0, 1)))
    assert (tmp_path / f"set/a{ending}").is_file()
    found = AnnotationSet.open(tmp_path / "set", LABELS)
    assert found.cases == ("a",)
    assert found.read("a").painted.array[0, 0, :3].tolist() == [0, 1, IGNORED]


def test_a_map_of_another_ending_is_replaced_too(empty_set):
    write_volume(empty_set.path / "a.mha", painted(0, 1))
    annotations = reopen(empty_set)
    annotations.write("a", CaseAnnotation("points", painted=painted(0, 2)))
    assert annotations.read("a").painted.array[0, 0, 1] == 2
    assert not (empty_set.path / "a.mha").exists()


def test_old_fiducials_and_nodes_without_a_name_are_read(empty_set):
    folder = empty_set.path / "a"
    folder.mkdir()
    positions = [*mm(INSIDE_VOXELS), *mm(OUTSIDE_VOXELS)]
    rows = [f"{n},{x},{y},{z},0,0,0,1,1,1,0,F-{n},,\n" for n, (x, y, z) in enumerate(positions)]
    (folder / "tumour#2.fcsv").write_text("# CoordinateSystem = 0\n" + "".join(rows))
    (points,) = reopen(empty_set).read("a").points
    assert (points.class_name, points.object_number) == ("tumour", 2)
    np.testing.assert_allclose(points.inside_mm, mm(INSIDE_VOXELS))


def test_unlabelled_points_are_resolved_along_the_axes_of_the_image(tmp_path):
    """Turned by 45° the inside point lies outside the patient-axis box of the others in no direction of its own."""
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn
    voxels = np.array([[5, 30, 30], [25, 10, 30], [15, 9, 30], [15, 31, 30], [15, 20, 20], [15, 20, 40], [24, 29, 30]])
    controls = [{"label": f"F-{n}", "position": (turn @ voxel).tolist()} for n, voxel in enumerate(voxels)]
    annotations = AnnotationSet.create(tmp_path / "set", LABELS, "points")
    (tmp_path / "set/a").mkdir()
    node = {"type": "Fiducial", "name": "tumour", "coordinateSystem": "RAS", "controlPoints": controls}
    (tmp_path / "set/a/x.mrk.json").write_text(json.dumps({"markups": [node]}))
    grid = Grid(GRID.shape, affine)
    (points,) = AnnotationSet.open(annotations.path, LABELS, grid_of=lambda case: grid).read("a").points
    np.testing.assert_allclose(points.inside_mm, [turn @ voxels[6]])


def test_other_keys_of_the_description_are_kept(empty_set):
    change_json(empty_set, source="Valvano et al. 2021")
    reopen(empty_set).write("a", CaseAnnotation("points", absent=frozenset({"cyst"})))
    content = json.loads((empty_set.path / "annotations.json").read_text())
    assert (content["source"], content["absent"]) == ("Valvano et al. 2021", {"a": ["cyst"]})


def test_a_table_without_ignore_fits(empty_set):
    change_json(empty_set, labels=dict(LABELS))
    assert reopen(empty_set).labels.ignore_value == IGNORED


@pytest.mark.parametrize(
    "table",
    [
        {"background": 0, "tumour": 1},
        {"background": 0, "tumour": 2, "cyst": 1},
        {"background": 0, "tumour": 1, "lesion": 2},
        {"background": 0, "tumour": 1, "cyst": 2, "ignore": 4},
    ],
)
def test_another_labels_table_is_refused(empty_set, table):
    change_json(empty_set, labels=table)
    with pytest.raises(
        InputError, match=r"annotations\.json: made for the labels .*, but the dataset has .* voxseed dataset relabel"
    ):
        reopen(empty_set)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "expected an annotation set of version 1, found 2"),
        ({"protocol": None}, 'expected a protocol such as "points"'),
        ({"labels": None}, "expected labels such as"),
        ({"seed": "7"}, "seed is '7', expected int"),
        ({"author": 7}, "author is 7, expected str"),
        ({"absent": ["a"]}, "expected absent such as"),
        ({"absent": {"a": "tumour"}}, "expected absent such as"),
        ({"absent": {"a": ["lung"]}}, "absent names the class 'lung' in case a; the labels are tumour, cyst"),
    ],
)
def test_a_wrong_description_is_refused(empty_set, changes, message):
    change_json(empty_set, **changes)
    with pytest.raises(InputError, match=rf"annotations\.json: {message}"):
        reopen(empty_set)


def test_a_folder_without_a_description_is_told_how_to_become_a_set(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such annotation set"):
        AnnotationSet.open(tmp_path / "nowhere", LABELS)
    with pytest.raises(InputError, match=r"without annotations\.json") as caught:
        AnnotationSet.open(tmp_path, LABELS)
    (tmp_path / "annotations.json").write_text(str(caught.value).split("adapted: ")[1])
    assert AnnotationSet.open(tmp_path, LABELS).protocol == "scribbles"


def test_creating_a_set_twice_is_refused(empty_set):
    with pytest.raises(InputError, match="there is an annotation set already"):
        AnnotationSet.create(empty_set.path, LABELS, "points")


def test_a_case_without_annotation_is_refused(empty_set):
    with pytest.raises(InputError, match="no annotation of case 'a'"):
        empty_set.read("a")


def node(*voxels, name="tumour"):
    controls = [{"label": "", "position": position.tolist()} for position in map(mm, voxels)]
    return {"type": "Fiducial", "name": name, "coordinateSystem": "RAS", "controlPoints": controls}


def roi(center, size=(1, 1, 1)):
    return {"type": "ROI", "name": "cyst", "coordinateSystem": "RAS", "center": list(mm(center)), "size": list(size)}


WHOLE = [*INSIDE_VOXELS, *OUTSIDE_VOXELS]


def labelled(inside, outside):
    result = node(inside, *outside)
    roles = ["inside", "left", "right", "posterior", "anterior", "inferior", "superior"]
    for point, role in zip(result["controlPoints"], roles, strict=True):
        point["label"] = role
    return result


FLAT = OUTSIDE_VOXELS * [1, 1, 0] + [0, 0, 30]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "empty annotation, no points, no box and no painted map"),
        ([node()], "empty annotation"),
        ([node(*WHOLE, name="lung")], "the node is called 'lung', which is no class; expected one of tumour, cyst"),
        ([node(*WHOLE), node(*WHOLE)], "2 nodes are called 'tumour', .* tumour#2, #3"),
        ([roi([15, 20, 30]), roi([15, 20, 31])], "2 nodes are called 'cyst'"),
        ([node(*OUTSIDE_VOXELS)], r"\(tumour\): 6 points, expected six outside"),
        ([labelled([15, 20, 30], FLAT)], r"span no box, .*voxels \[5, 10, 30\] to \[25, 30, 30\]"),
        (
            [labelled([45, 20, 30], OUTSIDE_VOXELS)],
            r"voxel \[45, 20, 30\], lies outside the image of shape",
        ),
        ([labelled([-1, 20, 30], OUTSIDE_VOXELS)], r"voxel \[-1, 20, 30\], lies outside the image"),
        ([labelled([26, 20, 30], OUTSIDE_VOXELS)], r"lies outside its box, voxels \[5, 10, 20\] to \[25, 30, 40\]"),
        ([roi([80, 20, 30])], r"\(cyst\): the box, voxels .* lies outside the image"),
    ],
)
def test_wrong_objects_are_refused(empty_set, nodes, message):
    (empty_set.path / "a").mkdir()
    for number, content in enumerate(nodes):
        (empty_set.path / f"a/{number}.mrk.json").write_text(json.dumps({"markups": [content]}))
    with pytest.raises(InputError, match=message):
        reopen(empty_set).read("a")


def test_extreme_points_may_lie_in_one_plane_or_voxel(tmp_path):
    annotations = AnnotationSet.create(tmp_path / "set", LABELS, "extreme-points", grid_of=lambda case: GRID)
    for case, outside in (("thin", FLAT), ("dot", np.repeat(INSIDE_VOXELS, 6, axis=0))):
        (annotations.path / case).mkdir()
        content = {"markups": [labelled([15, 20, 30], outside)]}
        (annotations.path / case / "a.mrk.json").write_text(json.dumps(content))
    annotations = AnnotationSet.open(tmp_path / "set", LABELS, grid_of=lambda case: GRID)
    assert [len(annotations.read(case).points) for case in ("thin", "dot")] == [1, 1]


@pytest.mark.parametrize(
    ("map_", "message"),
    [
        (
            Volume(np.zeros(GRID.shape, np.uint8), GRID.affine),
            "no voxel has the ignore value 3; is it dense, or",
        ),
        (painted(), "empty annotation, every voxel is ignore"),
        (painted(0, 9), "label values 9 are not in the labels table"),
        (Volume(painted(1).array[1:], GRID.affine), "its shape is"),
        (Volume(painted(1).array, np.eye(4)), "its voxels do not lie where those of the image of a lie"),
    ],
)
def test_wrong_painted_maps_are_refused(empty_set, map_, message):
    write_volume(empty_set.path / "a.nii.gz", map_)
    with pytest.raises(InputError, match=rf"a\.nii\.gz: {message}"):
        reopen(empty_set).read("a")


@pytest.mark.parametrize("protocol", ["dense", "noisy-dense"])
def test_a_dense_set_needs_no_ignored_voxel(tmp_path, protocol):
    annotations = AnnotationSet.create(tmp_path / "set", LABELS, protocol)
    dense = Volume(np.ones((2, 3, 4), np.uint8), np.eye(4))
    annotations.write("a", CaseAnnotation(protocol, painted=dense))
    assert AnnotationSet.open(tmp_path / "set", LABELS).read("a").painted.array.all()


def test_two_maps_of_one_case_are_refused(empty_set):
    for ending in (".nii.gz", ".mha"):
        write_volume(empty_set.path / f"a{ending}", painted(0, 1))
    with pytest.raises(InputError, match=r"duplicate case, a\.nii\.gz and a\.mha"):
        reopen(empty_set).read("a")


@pytest.mark.parametrize("annotation", [{"points": (tumour(),)}, {"painted": painted(0, 1)}])
def test_a_class_both_annotated_and_absent_is_refused(empty_set, annotation):
    empty_set.write("a", CaseAnnotation("points", **annotation, absent=frozenset({"tumour"})))
    with pytest.raises(InputError, match=r"tumour is annotated in case a, and annotations\.json calls it absent"):
        reopen(empty_set).read("a")


def test_an_unknown_class_is_not_written(empty_set):
    with pytest.raises(UnknownNameError, match="Unknown class 'lung'"):
        empty_set.write("a", CaseAnnotation("points", (replace(tumour(), class_name="lung"),)))
    assert reopen(empty_set).cases == ()


def test_the_real_scribbles_are_read(real_data):
    annotations = Dataset.open(real_data / "Dataset102_ACDC").annotations()
    assert (annotations.name, annotations.protocol, len(annotations.cases)) == ("scribbles", "scribbles", 60)
    annotation = annotations.read("patient003_frame01")
    assert annotations.annotated_classes(annotation) == {"right_ventricle", "myocardium", "left_ventricle"}
    assert (annotation.painted.array == 4).mean() > 0.9
