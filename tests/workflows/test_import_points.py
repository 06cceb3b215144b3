"""Importing points: the same from every kind of file and orientation, cases by name, each error's sentence."""

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation, ObjectPoints
from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.workflows.import_points import import_points

SHAPE = (20, 18, 16)
INSIDE_VOXELS = np.array([[10.0, 9, 8], [11, 9, 8.5]])
OUTSIDE_VOXELS = np.array([[5.0, 9, 8], [15, 9, 8], [10, 4, 8], [10, 14, 8], [10, 9, 3], [10, 9, 13]])
LPS = np.array([-1.0, -1, 1])


def dataset(root, affine, classes=("tumour", "cyst"), cases=("anna", "anna_2", "bert")):
    data = Dataset.create(root, "Scans", ["MRI"], classes)
    for case in cases:
        data.write_case(case, np.zeros((1, *SHAPE), np.float32), affine)
    return data


def positions(affine):
    """Points inside, then outside, in RAS mm."""
    return nib.affines.apply_affine(affine, np.concatenate([INSIDE_VOXELS, OUTSIDE_VOXELS]))


def markups(path, points_mm, system="LPS", name="tumour", labels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    placed = points_mm * (LPS if system == "LPS" else 1)
    controls = [
        {"label": labels[n] if labels else f"F-{n}", "position": point.tolist()} for n, point in enumerate(placed)
    ]
    node = {
        "type": "Fiducial",
        "coordinateSystem": system,
        "controlPoints": controls,
        **({"name": name} if name else {}),
    }
    path.write_text(json.dumps({"markups": [node]}))
    return path


def fcsv(path, points_mm, system="LPS"):
    placed = points_mm * (LPS if system == "LPS" else 1)
    rows = [f"{n},{x},{y},{z},0,0,0,1,1,1,0,F-{n},,\n" for n, (x, y, z) in enumerate(placed.tolist())]
    path.write_text(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {system}\n" + "".join(rows))
    return path


def table(path, points_mm, system="LPS", case="anna"):
    placed = points_mm * (LPS if system == "LPS" else 1)
    rows = [f"{case},tumour,1,,{x!r},{y!r},{z!r}\n" for x, y, z in placed.tolist()]
    path.write_text("case,class,object,role,x,y,z\n" + "".join(rows))
    return path


def require_imported(annotation_set, points_mm, case="anna"):
    (found,) = annotation_set.read(case).points
    assert (found.class_name, found.object_number) == ("tumour", 1)
    np.testing.assert_allclose(found.inside_mm, points_mm[:2], atol=1e-4)
    np.testing.assert_allclose(found.outside_mm, points_mm[2:], atol=1e-4)


@pytest.fixture
def data(tmp_path):
    return dataset(tmp_path / "data", np.diag([1.0, 2, 3, 1]))


POINTS = positions(np.diag([1.0, 2, 3, 1]))

orientations = st.tuples(
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.tuples(*[st.floats(0.4, 4)] * 3),
    st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
)


def oblique(orientation):
    order, flips, spacing_mm, angles, origin_mm = orientation
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) @ (np.eye(3) * flips)[:, list(order)] * spacing_mm
    affine[:3, 3] = origin_mm
    return affine


@settings(max_examples=25)
@given(
    orientation=orientations, kind=st.sampled_from(["mrk.json", "fcsv", "csv"]), system=st.sampled_from(["RAS", "LPS"])
)
def test_every_orientation_and_every_kind_of_file_gives_the_same_points(tmp_path_factory, orientation, kind, system):
    folder, affine = tmp_path_factory.mktemp("points"), oblique(orientation)
    data, points_mm = dataset(folder / "data", affine, cases=["anna"]), positions(affine)
    write = {"mrk.json": markups, "fcsv": fcsv, "csv": table}[kind]
    path = write(folder / f"anna_tumour.{kind}", points_mm, system)
    import_points([path], data.root, coordinates=system if kind == "csv" else None)
    require_imported(data.annotations("points"), points_mm)
    again = folder / "data/annotations/points/anna"
    import_points([again], data.root, set_name="again")
    require_imported(data.annotations("again"), points_mm)


def test_the_set_is_written_as_slicer_reads_it(data, tmp_path):
    path = table(tmp_path / "points.csv", POINTS, "RAS")
    summary = import_points([path], data.root, coordinates="RAS")
    assert summary.rows() == [("tumour", 1, 1), ("cyst", 0, 0)]
    assert len(summary.header()) == 3
    assert summary.path == data.root / "annotations" / "points"
    (node,) = json.loads((summary.path / "anna" / "tumour.mrk.json").read_text())["markups"]
    assert (node["coordinateSystem"], node["name"]) == ("LPS", "tumour")
    labels = [point["label"] for point in node["controlPoints"]]
    assert labels == ["inside", "inside", "left", "right", "posterior", "anterior", "inferior", "superior"]
    np.testing.assert_allclose([point["position"] for point in node["controlPoints"]], POINTS * LPS)


@pytest.mark.parametrize(
    ("name", "node_name", "case"),
    [
        ("bert/tumour.mrk.json", None, "bert"),
        ("bert/F.mrk.json", "tumour", "bert"),
        ("anna.mrk.json", "tumour", "anna"),
        ("anna_tumour.mrk.json", None, "anna"),
        ("anna-tumour.mrk.json", "tumour", "anna"),
        ("anna_2.mrk.json", "tumour", "anna_2"),
        ("anna_2_tumour.mrk.json", None, "anna_2"),
        ("deep/er/anna_2_tumour.mrk.json", None, "anna_2"),
    ],
)
def test_a_file_belongs_to_the_case_of_its_folder_or_name(data, tmp_path, name, node_name, case):
    markups(tmp_path / "files" / name, POINTS, name=node_name)
    assert import_points([tmp_path / "files"], data.root).cases == (case,)
    require_imported(data.annotations("points"), POINTS, case)


def test_with_one_class_a_node_needs_no_name(tmp_path):
    data = dataset(tmp_path / "data", np.diag([1.0, 2, 3, 1]), classes=["tumour"])
    import_points([fcsv(tmp_path / "anna.fcsv", POINTS)], data.root)
    require_imported(data.annotations("points"), POINTS)


def test_objects_of_several_files_and_boxes_come_together(data, tmp_path):
    source = AnnotationSet.create(tmp_path / "from", data.labels, "points", grid_of=data.read_grid)
    second = ObjectPoints("tumour", 2, POINTS[:2] + 1, POINTS[2:] + 1)
    source.write("anna", CaseAnnotation("points", (second,)))
    box = {"type": "ROI", "name": "cyst", "coordinateSystem": "RAS", "center": POINTS[0].tolist(), "size": [3, 3, 3]}
    (tmp_path / "from/anna/box.mrk.json").write_text(json.dumps({"markups": [box]}))
    path = table(tmp_path / "points.csv", POINTS)
    summary = import_points([tmp_path / "from", path], data.root, coordinates="LPS")
    assert summary.rows() == [("tumour", 1, 2), ("cyst", 1, 1)]
    found = data.annotations("points").read("anna")
    assert sorted(points.object_number for points in found.points) == [1, 2]
    np.testing.assert_allclose(found.boxes[0].center_mm, POINTS[0])


def test_extreme_points_keep_their_protocol(data, tmp_path):
    import_points([markups(tmp_path / "anna.mrk.json", POINTS)], data.root, protocol="extreme-points")
    assert data.annotations("extreme-points").protocol == "extreme-points"


FILES = {
    "stranger": lambda folder: markups(folder / "cora_tumour.mrk.json", POINTS),
    "number": lambda folder: markups(folder / "bert_3.mrk.json", POINTS),
    "two cases": lambda folder: markups(folder / "bert/anna_tumour.mrk.json", POINTS),
    "class": lambda folder: markups(folder / "anna.mrk.json", POINTS, name="F"),
    "empty": lambda folder: markups(folder / "anna.mrk.json", POINTS[:0]),
    "few": lambda folder: markups(folder / "anna.mrk.json", POINTS[:6]),
    "far": lambda folder: markups(folder / "anna.mrk.json", POINTS + 1000),
    "wrong system": lambda folder: markups(folder / "anna.mrk.json", POINTS * LPS),
    "damaged": lambda folder: (folder / "anna.mrk.json").write_text("{}"),
    "twice": lambda folder: [markups(folder / name, POINTS) for name in ("anna.mrk.json", "anna_tumour.mrk.json")],
    "table": lambda folder: table(folder / "points.csv", POINTS),
    "table stranger": lambda folder: table(folder / "points.csv", POINTS, case="cora"),
    "nothing": lambda folder: None,
}


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ("stranger", {}, r"cora_tumour\.mrk\.json: belongs to no case.* anna/tumour\.mrk\.json, or anna_tumour"),
        ("number", {}, r"bert_3\.mrk\.json: belongs to no case"),
        ("two cases", {}, "of case bert by its folder, and of case anna by its name. Rename"),
        ("class", {}, r"the node is called 'F', which is no class; expected one of tumour, cyst"),
        ("empty", {}, r"anna\.mrk\.json: no point with a position"),
        ("few", {}, r"anna\.mrk\.json \(tumour\): 6 points, expected six outside"),
        ("far", {}, "lies outside the image of shape"),
        ("wrong system", {}, "lies outside the image of shape"),
        ("damaged", {}, r'anna\.mrk\.json: no Slicer markups file, it has no list "markups"'),
        ("twice", {}, "case anna: 2 nodes are called 'tumour', expected one per object"),
        ("table", {}, r"points\.csv: a table does not say .*--coordinates RAS .* or --coordinates LPS"),
        ("table", {"coordinates": "ras"}, "--coordinates ras: expected RAS or LPS"),
        (
            "few",
            {"coordinates": "RAS"},
            "--coordinates RAS: there is no .csv file, and Slicer's files say it themselves",
        ),
        ("table", {"coordinates": "RAS"}, r"points\.csv \(tumour\): .*lies outside the image"),
        ("table stranger", {"coordinates": "LPS"}, "has no case 'cora', but 3 others, for example anna"),
        ("nothing", {}, r"files: no points in this folder; expected files ending in \.mrk\.json"),
    ],
)
def test_wrong_input_is_a_sentence_and_nothing_is_written(data, tmp_path, files, arguments, message):
    (tmp_path / "files").mkdir()
    FILES[files](tmp_path / "files")
    before = sorted(data.root.rglob("*"))
    with pytest.raises(InputError, match=message):
        import_points([tmp_path / "files"], data.root, **arguments)
    assert sorted(data.root.rglob("*")) == before


def test_another_kind_of_file_is_a_sentence(data, tmp_path):
    (tmp_path / "points.txt").touch()
    with pytest.raises(InputError, match=r"points\.txt: unknown kind of file; expected a name ending in \.mrk\.json"):
        import_points([tmp_path / "points.txt"], data.root)
