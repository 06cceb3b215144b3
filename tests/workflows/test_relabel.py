"""Relabelling a dataset: every part follows, an error changes nothing, a kill is finished by the same command."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from voxseed.data import replacing
from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.annotations import CaseAnnotation, ObjectBox, ObjectPoints
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_label, write_volume
from voxseed.errors import InputError
from voxseed.workflows.relabel import relabel

SHAPE, AFFINE = (12, 10, 8), np.diag([-1.0, 1.5, 2.0, 1.0])
LABELS = {"background": 0, "tumour": 1, "cyst": 2}
CENTER = np.array([-6.0, 7.5, 8.0])
OUTSIDE = CENTER + np.array([[-3, 0, 0], [3, 0, 0], [0, -3, 0], [0, 3, 0], [0, 0, -4], [0, 0, 4]])
POINTS = ObjectPoints("tumour", 2, CENTER[None], OUTSIDE)
BOX = ObjectBox("cyst", 1, CENTER, np.eye(3), np.array([4.0, 5, 6]))
PAINTED = np.full(SHAPE, 3, np.uint8)
PAINTED[:, :, 3:6] = np.arange(3)
DENSE = PAINTED % 3


class KilledError(BaseException):
    pass


@pytest.fixture(params=[".nii.gz", ".mhd"])
def data(request, tmp_path):
    """Two cases: a dense label each, points and boxes in `clicks`, painted maps in `strokes`."""
    made = Dataset.create(tmp_path / "data", "Scans", ["MRI"], ["tumour", "cyst"], file_ending=request.param)
    rng = np.random.default_rng(0)
    for case in ("anna", "bert"):
        made.write_case(case, rng.normal(size=(1, *SHAPE)).astype(np.float32), AFFINE, DENSE)
    keywords = {"file_ending": request.param, "grid_of": made.read_grid}
    clicks = AnnotationSet.create(made.root / "annotations/clicks", made.labels, "points", author="Anna", **keywords)
    clicks.write("anna", CaseAnnotation("points", (POINTS,), (BOX,)))
    clicks.write("bert", CaseAnnotation("points", absent=frozenset({"tumour"})))
    strokes = AnnotationSet.create(made.root / "annotations/strokes", made.labels, "scribbles", **keywords)
    for case in made.cases:
        strokes.write(case, CaseAnnotation("scribbles", painted=Volume(PAINTED, AFFINE)))
    return made


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_changed(root):
    """As after `--rename tumour=lump --add node`."""
    data = Dataset.open(root)
    assert dict(data.labels) == {"background": 0, "lump": 1, "cyst": 2, "node": 3}
    clicks, strokes = data.annotations("clicks"), data.annotations("strokes")
    assert clicks.author == "Anna"
    anna = clicks.read("anna")
    assert [(points.class_name, points.object_number) for points in anna.points] == [("lump", 2)]
    np.testing.assert_allclose(anna.points[0].inside_mm, POINTS.inside_mm)
    np.testing.assert_allclose(anna.points[0].outside_mm, POINTS.outside_mm)
    assert [box.class_name for box in anna.boxes] == ["cyst"]
    assert clicks.read("bert").absent == {"lump"}
    for case in data.cases:
        np.testing.assert_array_equal(strokes.read(case).painted.array, np.where(PAINTED == 3, 4, PAINTED))
        np.testing.assert_array_equal(data.read_label(case).array, DENSE)
    assert not [path for path in root.rglob("*") if path.name.startswith(".")]


def test_everything_follows(data):
    summary = relabel(data.root, {"tumour": "lump"}, ["node"])
    require_changed(data.root)
    assert summary.rows() == [
        ("dense labels", 0),
        ("annotations clicks", 2),  # a point list, and annotations.json
        ("annotations strokes", 3),
        ("dataset", 1),
    ]
    assert not summary.finished


def test_the_same_again_changes_nothing(data):
    relabel(data.root, {"tumour": "lump"}, ["node"])
    before = contents(data.root)
    assert {count for _, count in relabel(data.root, {"tumour": "lump"}, ["node"]).rows()} == {0}
    assert contents(data.root) == before


def test_dense_labels_that_name_ignore_are_rewritten(data):
    path = data.root / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "labels": {**LABELS, "ignore": 3}, "note": "kept"}))
    write_volume(data.label_path("anna"), Volume(PAINTED, AFFINE))
    assert dict(relabel(data.root, add=["node"]).changed)["dense labels"] == 1
    assert dict(Dataset.open(data.root).labels) == {**LABELS, "node": 3, "ignore": 4}
    np.testing.assert_array_equal(read_label(data.label_path("anna")).array, np.where(PAINTED == 3, 4, PAINTED))
    assert json.loads(path.read_text())["note"] == "kept"


def test_names_are_swapped(data):
    relabel(data.root, {"tumour": "cyst", "cyst": "tumour"})
    found = Dataset.open(data.root)
    assert dict(found.labels) == {"background": 0, "cyst": 1, "tumour": 2}
    anna = found.annotations("clicks").read("anna")
    assert (anna.points[0].class_name, anna.boxes[0].class_name) == ("cyst", "tumour")
    np.testing.assert_array_equal(found.annotations("strokes").read("anna").painted.array, PAINTED)


@pytest.mark.parametrize("renames", [{"tumour": "lump"}, {"tumour": "cyst", "cyst": "tumour"}])
@pytest.mark.parametrize("moves", range(6))
def test_a_kill_is_finished_by_the_same_command(data, monkeypatch, moves, renames):
    real, made = replacing.move_into_place, []

    def killed_after_some(temporary, target):
        if target.name != replacing.JOURNAL_NAME:
            if len(made) == moves:
                raise KilledError
            made.append(target)
        real(temporary, target)

    monkeypatch.setattr(replacing, "move_into_place", killed_after_some)
    with pytest.raises(KilledError):
        relabel(data.root, renames, ["node"])
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"labels was interrupted\. Finish it first: voxseed dataset relabel"):
        Dataset.open(data.root)
    assert relabel(data.root, renames, ["node"]).finished
    if "lump" in renames.values():
        require_changed(data.root)
    else:
        assert list(Dataset.open(data.root).labels) == ["background", "cyst", "tumour", "node"]


def test_another_command_finishes_what_was_stopped_and_goes_on(data, monkeypatch):
    real = replacing.move_into_place

    def killed_after_the_journal(temporary, target):
        if target.name != replacing.JOURNAL_NAME:
            raise KilledError
        real(temporary, target)

    monkeypatch.setattr(replacing, "move_into_place", killed_after_the_journal)
    with pytest.raises(KilledError):
        relabel(data.root, {"tumour": "mass"})
    monkeypatch.undo()
    assert relabel(data.root, {"mass": "lump"}, ["node"]).finished
    require_changed(data.root)


def test_sets_are_brought_up_to_an_edited_dataset_json(data):
    path = data.root / "dataset.json"
    labels = {"background": 0, "cyst": 1, "lump": 2, "node": 3}
    path.write_text(json.dumps({**json.loads(path.read_text()), "labels": labels}))
    with pytest.raises(InputError, match=r"annotations of the class 'tumour', which is not in .*--rename tumour=NEW"):
        relabel(data.root)
    relabel(data.root, {"tumour": "lump"})
    found = Dataset.open(data.root)
    assert dict(found.labels) == labels
    assert [points.class_name for points in found.annotations("clicks").read("anna").points] == ["lump"]
    expected = np.array([0, 2, 1, 4], np.uint8)[PAINTED]
    np.testing.assert_array_equal(found.annotations("strokes").read("anna").painted.array, expected)


def test_a_set_outside_the_dataset_follows(data, tmp_path):
    (data.root / "annotations" / "strokes").rename(tmp_path / "mine")
    relabel(data.root, add=["node"], annotations=[tmp_path / "mine"])
    found = Dataset.open(data.root).annotations(tmp_path / "mine").read("anna")
    np.testing.assert_array_equal(found.painted.array, np.where(PAINTED == 3, 4, PAINTED))


def test_old_fiducials_whose_name_is_the_file_are_written_anew(data):
    folder = data.root / "annotations/clicks/anna"
    (folder / "tumour#2.mrk.json").unlink()
    rows = [f"{n},{x},{y},{z},0,0,0,1,1,1,0,F-{n},,\n" for n, (x, y, z) in enumerate([CENTER, *OUTSIDE])]
    (folder / "tumour#2.fcsv").write_text("# CoordinateSystem = 0\n" + "".join(rows))
    relabel(data.root, {"tumour": "lump"}, labels=["background", "lump", "cyst", "node"])
    require_changed(data.root)
    assert not (folder / "tumour#2.fcsv").exists()


def test_a_map_that_cannot_be_read_leaves_everything_as_it_was(data):
    write_volume(data.root / f"annotations/strokes/bert{data.file_ending}", Volume(PAINTED + 5, AFFINE))
    before = contents(data.root)
    with pytest.raises(InputError, match="label values 5, 6, 7, 8 are not in the labels table"):
        relabel(data.root, {"tumour": "lump"}, ["node"])
    assert contents(data.root) == before
    assert not [path for path in data.root.rglob("*") if path.name.startswith(".")]


def test_wrong_names_are_a_sentence(data):
    with pytest.raises(InputError, match="--rename lung=vein: no class 'lung'"):
        relabel(data.root, {"lung": "vein"})


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment_is_finished_by_the_same_command(data, tmp_path):
    words = [sys.executable, "-m", "voxseed", "dataset", "relabel", "ROOT", "--rename", "tumour=lump", "--add", "node"]
    for number in range(12):
        root = shutil.copytree(data.root, tmp_path / f"copy_{number}")
        words[5] = str(root)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(root.rglob(".relabel")) and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(0.004 * number)
        process.kill()
        process.communicate()
        relabel(root, {"tumour": "lump"}, ["node"])
        require_changed(root)
