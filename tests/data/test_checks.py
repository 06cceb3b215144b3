import json

import numpy as np
import pytest

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation, ObjectPoints
from voxseed.data.checks import check_dataset
from voxseed.data.datasets import Dataset
from voxseed.data.findings import Severity
from voxseed.data.volumes import Volume, write_volume

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
SHAPE = (12, 13, 14)
IMAGE = np.random.default_rng(0).normal(size=(2, *SHAPE))
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[4:7, 4:7, 4:7] = 1
LABEL[8, 8, 8] = 2
OUTSIDE = np.array([[2, 5, 10], [9, 5, 10], [5, 2, 10], [5, 9, 10], [5, 5, 4], [5, 5, 18]], float)
INSIDE = np.array([[5.0, 5, 10]])
PAINTED = np.full(SHAPE, 3, np.uint8)
PAINTED[5, 5, :3] = 0, 1, 2


def points(name, inside=INSIDE, outside=OUTSIDE):
    return ObjectPoints(name, 1, inside, outside)


@pytest.fixture
def root(tmp_path):
    """Cases a, b, c and d, of which nothing is wrong."""
    dataset = Dataset.create(tmp_path / "dataset", "Heads", ["T1", "T2"], ["tumour", "cyst"])
    for case in "abcd":
        dataset.write_case(case, IMAGE, AFFINE, LABEL)
    dataset.write_case("t", IMAGE[:, :10], AFFINE, test=True)
    clicks = AnnotationSet.create(dataset.root / "annotations/clicks", dataset.labels, "points")
    clicks.write("a", CaseAnnotation("points", (points("tumour"), points("cyst"))))
    clicks.write("b", CaseAnnotation("points", (points("tumour"),), absent=frozenset({"cyst"})))
    strokes = AnnotationSet.create(dataset.root / "annotations/strokes", dataset.labels, "scribbles")
    strokes.write("c", CaseAnnotation("scribbles", painted=Volume(PAINTED, AFFINE)))
    (dataset.root / "splits.json").write_text('{"version": 1, "test": ["t"], "folds": []}')
    return dataset.root


def found(root):
    return [(finding.severity.value, finding.where, finding.message) for finding in check_dataset(root).findings]


def test_nothing_is_found_where_nothing_is_wrong(root):
    check = check_dataset(root)
    assert check.findings == ()
    assert not check.has_errors
    summary = check.summary
    assert (summary.name, summary.channel_names) == ("Heads", ("T1", "T2"))
    assert (summary.case_count, summary.test_case_count, summary.label_count) == (4, 1, 4)
    assert summary.label_class_cases == {"tumour": 4, "cyst": 4}
    assert summary.shape_range == ((10, 13, 14), (12, 13, 14))
    assert summary.spacing_range_mm == ((1, 1, 2), (1, 1, 2))
    clicks, strokes = summary.annotation_sets
    assert (clicks.name, clicks.protocol, clicks.case_count) == ("clicks", "points", 2)
    assert clicks.class_cases == {"tumour": 2, "cyst": 1}
    assert (strokes.case_count, strokes.class_cases) == (1, {"tumour": 1, "cyst": 1})


def test_the_summary_can_be_shown_as_a_table(root):
    assert check_dataset(root).summary.rows() == [
        ("dataset", "Heads"),
        ("channels", "T1, T2"),
        ("cases", "4, and 1 test cases"),
        ("dense labels", "4 (tumour in 4, cyst in 4)"),
        ("shape, voxels", "10×13×14 to 12×13×14"),
        ("spacing, mm", "1×1×2"),
        ("annotations clicks", "points, 2 (tumour in 2, cyst in 1)"),
        ("annotations strokes", "scribbles, 1 (tumour in 1, cyst in 1)"),
    ]


def image(array, affine=AFFINE):
    return lambda root: write_volume(root / "imagesTr/a_0001.nii.gz", Volume(array, affine))


def label(array, affine=AFFINE):
    return lambda root: write_volume(root / "labelsTr/a.nii.gz", Volume(array, affine))


def stroke(array, affine=AFFINE):
    return lambda root: write_volume(root / "annotations/strokes/c.nii.gz", Volume(array, affine))


def click(**where):
    def rewrite(root):
        dataset = Dataset.open(root)
        annotation = CaseAnnotation("points", (points("tumour", **where), points("cyst")))
        AnnotationSet.open(root / "annotations/clicks", dataset.labels).write("a", annotation)

    return rewrite


def delete(name):
    return lambda root: (root / name).unlink()


def text(name, content):
    def write(root):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text(content)

    return write


def truncate(name):
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:300])


def relabel(name, **labels):
    def write(root):
        content = json.loads((root / name).read_text())
        (root / name).write_text(json.dumps({**content, "labels": {"background": 0, **labels}}))

    return write


def forget_absent(root):
    path = root / "annotations/clicks/annotations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "absent": {}}))


NAN = IMAGE[0].copy()
NAN[1, 1, 1] = np.nan
NO_BACKGROUND = np.where(PAINTED == 0, 3, PAINTED)
ONLY_TUMOUR = np.where(PAINTED == 2, 3, PAINTED)
DENSE = np.where(PAINTED == 3, 0, PAINTED)

DAMAGES = {
    "missing channel": (delete("imagesTr/a_0001.nii.gz"), "error", "Heads", "missing channel of case a"),
    "duplicate": (text("imagesTr/a_0000.nii", ""), "error", "Heads", "duplicate case, a_0000"),
    "truncated": (truncate("imagesTr/a_0000.nii.gz"), "error", "a", "truncated or damaged"),
    "no image": (text("imagesTr/a_0000.nii.gz", "hello"), "error", "a", "not a NIfTI image"),
    "nan": (image(NAN), "error", "a", "1 voxels are NaN or infinite"),
    "constant": (image(np.full(SHAPE, 7)), "error", "a", "a constant image, every voxel is 7"),
    "channel shape": (image(IMAGE[1, 1:]), "error", "a", "a_0001.nii.gz: its shape is (11, 13, 14)"),
    "channel affine": (image(IMAGE[1], np.eye(4)), "error", "a", "a_0001.nii.gz: its voxels do not lie"),
    "label shape": (label(LABEL[1:]), "error", "a", "a.nii.gz: its shape is (11, 13, 14)"),
    "label affine": (label(LABEL, np.eye(4)), "error", "a", "a.nii.gz: its voxels do not lie"),
    "label value": (label(LABEL * 5), "error", "a", "label values 5, 10 are not in the labels table"),
    "label fraction": (label(LABEL * 0.5), "error", "a", "a label map has integer values"),
    "label alone": (text("labelsTr/x.nii.gz", ""), "warning", "x", "a label without an image"),
    "splits": (text("splits.json", '[{"train": ["x"], "val": []}]'), "error", "splits", "not in the dataset"),
    "point outside": (click(inside=np.array([[40.0, 5, 10]])), "error", "clicks/a", "lies outside the image of shape"),
    "point out of box": (click(inside=np.array([[10.0, 5, 10]])), "error", "clicks/a", "lies outside its box"),
    "flat box": (click(outside=OUTSIDE * [1, 1, 0]), "error", "clicks/a", "span no box"),
    "empty folder": (text("annotations/clicks/c/notes.txt", ""), "error", "clicks/c", "empty annotation"),
    "unknown case": (text("annotations/clicks/x/a.fcsv", ""), "error", "clicks/x", "the dataset has no case x"),
    "empty map": (stroke(np.full(SHAPE, 3)), "error", "strokes/c", "empty annotation, every voxel is ignore"),
    "no ignore": (stroke(DENSE), "error", "strokes/c", "is it dense, or painted with 0 for unannotated?"),
    "no background": (stroke(NO_BACKGROUND), "warning", "strokes/c", "no voxel is annotated as background"),
    "unmentioned": (forget_absent, "warning", "clicks/b", "nothing says where cyst is"),
    "map affine": (stroke(PAINTED, np.eye(4)), "error", "strokes/c", "its voxels do not lie"),
    "class nobody": (stroke(ONLY_TUMOUR), "error", "strokes", "nobody annotated the class cyst"),
    "other table": (
        relabel("annotations/clicks/annotations.json", tumour=2, cyst=1),
        "error",
        "clicks",
        "made for the labels",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found(root, name):
    damage, severity, where, message = DAMAGES[name]
    damage(root)
    findings = [finding for finding in found(root) if message in finding[2]]
    assert len(findings) == 1, found(root)
    assert findings[0][:2] == (severity, where)
    assert check_dataset(root).has_errors == (severity == "error")


def test_one_finding_does_not_hide_the_next(root):
    names = ["truncated", "nan", "label value", "splits", "flat box", "empty folder", "unknown case", "no ignore"]
    for name in names:
        DAMAGES[name][0](root)
    label(LABEL[1:] * 5)(root)
    findings = found(root)
    messages = [message for _, _, message in findings]
    for expected in [*(DAMAGES[name][3] for name in names), "its shape is (11, 13, 14)"]:
        assert sum(expected in message for message in messages) == 1, expected
    # Neither is anything said twice.
    assert len(set(findings)) == len(findings)


def test_a_set_that_cannot_be_opened_is_not_summarised(root):
    DAMAGES["other table"][0](root)
    assert [summary.name for summary in check_dataset(root).summary.annotation_sets] == ["strokes"]


def test_a_folder_that_is_no_dataset_is_one_finding(tmp_path):
    check = check_dataset(tmp_path)
    (finding,) = check.findings
    assert (finding.severity, finding.where) == (Severity.ERROR, str(tmp_path))
    assert "without dataset.json" in finding.message
    assert check.summary is None
    assert check.has_errors


def test_images_alone_are_a_warning(tmp_path):
    dataset = Dataset.create(tmp_path, "Heads", ["T1"], ["tumour"])
    dataset.write_case("a", IMAGE[:1], AFFINE)
    ((severity, where, message),) = found(tmp_path)
    assert (severity, where) == ("warning", "Heads")
    assert "neither annotation sets nor dense labels" in message


def test_a_class_in_no_dense_label_is_a_warning(tmp_path):
    dataset = Dataset.create(tmp_path, "Heads", ["T1"], ["tumour", "cyst", "oedema"])
    dataset.write_case("a", IMAGE[:1], AFFINE, LABEL)
    ((severity, where, message),) = found(tmp_path)
    assert (severity, where) == ("warning", "Heads")
    assert message.startswith("the class oedema occurs in no dense label")


def test_a_dataset_without_cases_is_an_error_and_has_no_ranges(tmp_path):
    Dataset.create(tmp_path, "Heads", ["T1"], ["tumour"])
    check = check_dataset(tmp_path)
    assert "no cases" in check.findings[0].message
    assert (check.summary.shape_range, check.summary.spacing_range_mm) == (None, None)


@pytest.mark.parametrize("name", ["Dataset102_ACDC", "Dataset103_LeftAtriumNative"])
def test_nothing_is_wrong_with_the_real_data(real_data, name):
    assert check_dataset(real_data / name).findings == ()


def test_a_set_of_slices_has_slices_in_one_plane_or_two(root):
    annotations = AnnotationSet.create(root / "annotations/slices", Dataset.open(root).labels, "slices")
    sliced = np.full(SHAPE, 3, np.uint8)
    sliced[:, :, 5], sliced[:, 6] = LABEL[:, :, 5], LABEL[:, 6]
    sliced[8, 8, 8] = 2
    annotations.write("c", CaseAnnotation("slices", painted=Volume(sliced, AFFINE)))
    assert found(root) == []
    annotations.write("d", CaseAnnotation("slices", painted=Volume(PAINTED, AFFINE)))
    ((severity, where, message),) = found(root)
    assert (severity, where) == ("error", "slices/d")
    assert "found no annotated slice; in a slice, at least half of the voxels must be annotated" in message


def test_a_set_of_slices_has_them_in_the_same_planes_in_every_case(root):
    annotations = AnnotationSet.create(root / "annotations/slices", Dataset.open(root).labels, "slices")
    for case, axes in {"c": (1, 2), "d": (2,)}.items():
        sliced = np.full(SHAPE, 3, np.uint8)
        for axis in axes:
            np.moveaxis(sliced, axis, 0)[5] = np.moveaxis(LABEL, axis, 0)[5]
        sliced[8, 8, 8], sliced[0, 0, 0] = 2, 0
        annotations.write(case, CaseAnnotation("slices", painted=Volume(sliced, AFFINE)))
    check = check_dataset(root)
    assert [(finding.where, finding.message) for finding in check.findings] == [
        (
            "slices",
            "slices: case c is annotated in coronal and axial slices, case d in axial slices. "
            "Annotate the same planes in every case.",
        )
    ]
    assert [summary.name for summary in check.summary.annotation_sets if summary.name == "slices"] == ["slices"]
