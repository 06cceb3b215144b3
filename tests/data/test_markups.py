import json

import nibabel as nib
import numpy as np
import pytest

from voxseed.data.annotations import ObjectBox, ObjectPoints
from voxseed.data.markups import (
    PointList,
    Roi,
    node_stem,
    object_name,
    parse_object_name,
    read_markups,
    write_box,
    write_points,
)
from voxseed.data.point_roles import DIRECTIONS, split_by_role
from voxseed.errors import InputError

OUTSIDE = np.array([[35, 50, 50], [65, 50, 50], [50, 35, 50], [50, 65, 50], [50, 50, 35], [50, 50, 65]], float)
POINT = {"label": "F-1", "position": [1, 2, 3]}


def write(path, *nodes):
    path.write_text(json.dumps({"markups": list(nodes)}))
    return path


def fiducials(*points, **properties):
    return {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": list(points), **properties}


def test_written_points_are_lps_defined_and_labelled(tmp_path):
    points = ObjectPoints("tumour", 2, np.array([[50.0, 51, 52]]), OUTSIDE)
    write_points(tmp_path / "a.mrk.json", points, np.eye(4))
    (node,) = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    assert (node["type"], node["name"], node["coordinateSystem"]) == ("Fiducial", "tumour#2", "LPS")
    first, second = node["controlPoints"][:2]
    assert first == {"id": "1", "label": "inside", "position": [-50, -51, 52], "positionStatus": "defined"}
    assert (second["label"], second["position"]) == ("left", [-35, -50, 50])
    assert [point["label"] for point in node["controlPoints"]] == ["inside", *DIRECTIONS]


@pytest.mark.parametrize("inside_count", [1, 3])
def test_written_points_are_read_back(tmp_path, inside_count):
    inside = 50 + np.random.default_rng(1).uniform(-5, 5, (inside_count, 3))
    write_points(tmp_path / "a.mrk.json", ObjectPoints("tumour", 1, inside, OUTSIDE), np.eye(4))
    (node,) = read_markups(tmp_path / "a.mrk.json")
    assert isinstance(node, PointList)
    assert node.name == "tumour"
    found_inside, found_outside = split_by_role(node.labels, node.points_mm, np.eye(4), "a")
    np.testing.assert_allclose(found_inside, inside)
    np.testing.assert_allclose(found_outside, OUTSIDE)


def test_a_written_box_is_read_back(tmp_path):
    axes = nib.eulerangles.euler2mat(0.3, -0.4, 0.5)
    box = ObjectBox("cyst", 3, np.array([1.0, -2, 3]), axes, np.array([4.0, 5, 6]))
    write_box(tmp_path / "a.mrk.json", box)
    (node,) = read_markups(tmp_path / "a.mrk.json")
    assert isinstance(node, Roi)
    assert node.name == "cyst#3"
    np.testing.assert_allclose(node.center_mm, box.center_mm)
    np.testing.assert_allclose(node.axes, box.axes)
    np.testing.assert_allclose(node.size_mm, box.size_mm)


def test_a_box_is_written_as_slicer_does(tmp_path):
    # Slicer negates the first two rows of centre and orientation in LPS.
    axes = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    write_box(tmp_path / "a.mrk.json", ObjectBox("cyst", 1, np.array([1.0, 2, 3]), axes, np.array([4.0, 5, 6])))
    (node,) = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    assert (node["type"], node["roiType"], node["name"]) == ("ROI", "Box", "cyst")
    assert node["center"] == [-1, -2, 3]
    assert node["orientation"] == [0, 1, 0, -1, 0, 0, 0, 0, 1]
    assert node["size"] == [4, 5, 6]


@pytest.mark.parametrize(
    ("system", "expected"),
    [("LPS", [-1, -2, 3]), (1, [-1, -2, 3]), ("1", [-1, -2, 3]), ("RAS", [1, 2, 3]), (0, [1, 2, 3]), ("0", [1, 2, 3])],
)
def test_each_coordinate_system_is_read(tmp_path, system, expected):
    points = fiducials(POINT, coordinateSystem=system)
    roi = {"type": "ROI", "coordinateSystem": system, "center": [1, 2, 3], "size": [1, 1, 1]}
    point_list, box = read_markups(write(tmp_path / "a.mrk.json", points, roi))
    assert point_list.points_mm.tolist() == [expected]
    assert box.center_mm.tolist() == expected
    np.testing.assert_array_equal(box.axes, np.eye(3))


def test_a_file_without_a_coordinate_system_is_lps_as_in_slicer(tmp_path):
    node = {"type": "Fiducial", "controlPoints": [POINT]}
    (point_list,) = read_markups(write(tmp_path / "a.mrk.json", node))
    assert point_list.points_mm.tolist() == [[-1, -2, 3]]


def test_only_points_with_a_defined_position_are_read(tmp_path):
    points = [
        {"label": "a", "position": [1, 2, 3], "positionStatus": "defined"},
        {"label": "b", "position": [4, 5, 6], "positionStatus": "undefined"},
        {"label": "c", "positionStatus": "missing"},
        {"label": "d", "position": [7, 8, 9], "positionStatus": "preview"},
        {"position": [0, 0, 1]},
    ]
    (node,) = read_markups(write(tmp_path / "a.mrk.json", fiducials(*points, coordinateSystem="RAS")))
    assert node.labels == ("a", "")
    assert node.points_mm.tolist() == [[1, 2, 3], [0, 0, 1]]


def test_nodes_are_called_by_their_name_or_else_after_the_file(tmp_path):
    path = write(tmp_path / "tumour#2.mrk.json", fiducials(POINT, name="cyst"), fiducials(POINT), fiducials(name=""))
    assert [node.name for node in read_markups(path)] == ["cyst", "tumour#2", "tumour#2"]
    assert read_markups(path)[2].points_mm.shape == (0, 3)


@pytest.mark.parametrize("units", ["mm", ["mm", "UCUM", "millimeter"]])
def test_units_of_mm_are_read(tmp_path, units):
    assert len(read_markups(write(tmp_path / "a.mrk.json", fiducials(POINT, coordinateUnits=units)))) == 1


FCSV = """# Markups fiducial file version = 4.11
# CoordinateSystem = {system}
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
vtkMRMLMarkupsFiducialNode_0,1.5,2,3,0,0,0,1,1,1,0,inside,,vtkMRMLScalarVolumeNode1
1,4,5,6,0,0,0,1,1,1,0,"left, upper",,
"""


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("1", -1), ("RAS", 1), ("0", 1)])
def test_old_fiducial_files_are_read(tmp_path, system, sign):
    (tmp_path / "tumour#2.fcsv").write_text(FCSV.format(system=system))
    (node,) = read_markups(tmp_path / "tumour#2.fcsv")
    assert node.name == "tumour#2"
    assert node.labels == ("inside", "left, upper")
    assert node.points_mm.tolist() == [[sign * 1.5, sign * 2, 3], [sign * 4, sign * 5, 6]]


def test_fiducial_files_without_a_header_are_ras_in_the_usual_columns(tmp_path):
    (tmp_path / "a.fcsv").write_text("0,1,2,3,0,0,0,1,1,1,0,inside,,\n\n")
    (node,) = read_markups(tmp_path / "a.fcsv")
    assert (node.labels, node.points_mm.tolist()) == (("inside",), [[1, 2, 3]])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (fiducials(POINT, coordinateSystem="IJK"), "coordinate system 'IJK', expected LPS or RAS"),
        (fiducials(POINT, coordinateSystem=2), "coordinate system 2, expected LPS or RAS"),
        (fiducials(POINT, coordinateUnits="cm"), 'coordinates in "cm", expected mm'),
        (fiducials(POINT, coordinateUnits=[]), r"coordinates in \[\], expected mm"),
        ({"type": "Line"}, "a markups node of type 'Line', expected a point list"),
        ({}, "a markups node of type None"),
        ({"type": "Fiducial"}, r"damaged markups \(KeyError: 'controlPoints'\)"),
        (fiducials({"label": "a"}), r"damaged markups \(KeyError: 'position'\)"),
        (fiducials({"position": [1, 2]}), "damaged markups .*expected 3 numbers"),
        (fiducials({"position": [1, 2, float("nan")]}), "damaged markups .*expected 3 numbers"),
        (fiducials({"position": ["a", 2, 3]}), "damaged markups"),
        ({"type": "ROI", "center": [0, 0, 0]}, r"damaged markups \(KeyError: 'size'\)"),
        ({"type": "ROI", "center": [0, 0, 0], "size": [1, 0, 1]}, r"the size \[1.0, 0.0, 1.0\] mm, expected three pos"),
        ({"type": "ROI", "center": [0, 0, 0], "size": [1, 1, 1], "orientation": [1] * 9}, "is no rotation"),
        ({"type": "ROI", "center": [0, 0, 0], "size": [1, 1, 1], "insideOut": True}, "inside out"),
    ],
)
def test_a_wrong_node_is_refused(tmp_path, node, message):
    path = write(tmp_path / "a.mrk.json", node)
    with pytest.raises(InputError, match=rf"a\.mrk\.json: .*{message}"):
        read_markups(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mrk.json", "[]", 'it has no list "markups"'),
        ("a.mrk.json", '{"markups": 1}', 'it has no list "markups"'),
        ("a.mrk.json", '{"markups": [1]}', 'it has no list "markups"'),
        ("a.mrk.json", "{", "expected a JSON file"),
        ("a.mrk.json", None, "no such file"),
        ("a.fcsv", None, "no such file"),
        ("a.fcsv", "# CoordinateSystem = 3\n", "coordinate system '3', expected LPS or RAS"),
        ("a.fcsv", "0,1,2\n", "expected the columns id,x,y,z"),
        ("a.fcsv", "0,1,2,three\n", "expected the columns id,x,y,z"),
        ("a.fcsv", "0,1,2,inf\n", "expected the columns id,x,y,z"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: .*{message}"):
        read_markups(tmp_path / name)


def test_a_binary_fiducial_file_is_refused(tmp_path):
    (tmp_path / "a.fcsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not text"):
        read_markups(tmp_path / "a.fcsv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tumour", ("tumour", 1)),
        ("tumour#2", ("tumour", 2)),
        ("left #1 lobe#12", ("left #1 lobe", 12)),
        ("tumour#0", ("tumour#0", 1)),
        ("tumour#b", ("tumour#b", 1)),
        ("#2", ("", 2)),
    ],
)
def test_object_names_hold_class_and_number(name, expected):
    assert parse_object_name(name) == expected
    assert object_name(*expected) == name


@pytest.mark.parametrize(
    ("name", "stem"), [("tumour.mrk.json", "tumour"), ("a.b.FCSV", "a.b"), ("tumour#2.mrk.json", "tumour#2")]
)
def test_the_stem_of_a_file_is_its_name_without_the_suffix(tmp_path, name, stem):
    assert node_stem(tmp_path / name) == stem
