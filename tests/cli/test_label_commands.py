"""The commands that bring annotations in, divide cases and change labels: what is printed, and the exit code."""

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume


def test_painted_maps_are_imported_and_check(voxseed, dataset, tmp_path):
    for case in Dataset.open(dataset).cases:
        label = Dataset.open(dataset).read_label(case)
        painted = np.where(label.array == 1, 3, 9).astype(np.uint8)
        painted[:, :, :6] = 0
        write_volume(tmp_path / "maps" / f"{case}.nii.gz", Volume(painted, label.affine))
    options = ("--into", dataset, "--unannotated", 0, "--background", 9, "--map", "3=ball", "--set-name", "strokes")
    answer = voxseed("dataset", "import-labels", tmp_path / "maps", *options)
    assert (answer.code, answer.err) == (0, "")
    assert [line.split()[:2] for line in answer.out.splitlines()[1:4]] == [
        ["background", "4"],
        ["ball", "4"],
        ["ignore", "4"],
    ]
    assert answer.out.endswith(f"Annotation set: {dataset}/annotations/strokes, 4 cases.\n")
    assert voxseed("dataset", "check", dataset).code == 0


def test_points_are_imported_and_check(voxseed, dataset):
    answer = voxseed(
        "dataset", "import-points", dataset / "annotations" / "points", "--into", dataset, "--set-name", "again"
    )
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[1].split() == ["ball", "4", "4"]
    assert voxseed("dataset", "check", dataset).code == 0


def test_cases_are_divided_and_trained_on(voxseed, dataset):
    answer = voxseed("dataset", "split", dataset, "--folds", 3, "--test-share", 0.2, "--group", r"(\d)$")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split() for line in answer.out.splitlines()[1:5]] == [
        ["fold", "0", "2", "1", "1"],
        ["fold", "1", "2", "1", "1"],
        ["fold", "2", "2", "1", "1"],
        ["test", "0", "1", "1"],
    ]
    assert answer.out.endswith("Train on one with --fold 0 to 2.\n")
    assert voxseed("dataset", "check", dataset).code == 0


def test_classes_are_renamed_and_added(voxseed, dataset):
    answer = voxseed("dataset", "relabel", dataset, "--rename", "ball=bowl", "--labels", "background,bowl,cube")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("Labels: {'background': 0, 'bowl': 1, 'cube': 2}\n")
    assert Dataset.open(dataset).annotations("points").read("ball_0").points[0].class_name == "bowl"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("relabel DATA --rename ball", "--rename ball: expected OLD=NEW, each OLD once"),
        ("relabel DATA --rename ball=", "--rename ball=: expected OLD=NEW"),
        ("relabel DATA --rename lung=vein", "--rename lung=vein: no class 'lung'"),
        ("relabel DATA --add ignore", "'ignore' cannot be the name of a class"),
        ("relabel DATA --labels cube", "--labels cube: lacks 'ball'"),
        ("split DATA --folds 5", "--folds 5: expected at least 5 groups of cases to divide, found 4"),
        ("import-labels NONE --into DATA", "none: no such file or folder. Give label maps"),
        ("import-labels DATA/labelsTr --into DATA", "no voxel is unannotated; is it dense"),
        ("import-labels DATA/labelsTr --into DATA --map x=ball", "--map x: expected VALUE=LABEL with a whole number"),
        ("import-labels DATA/labelsTr --into DATA --background ball", "--background ball: expected a value of the map"),
        (
            "import-labels DATA/labelsTr --into DATA --unannotated 0.5",
            "--unannotated 0.5: expected a value of the map",
        ),
        ("import-points NONE --into DATA --set-name new", "none: no such file or folder. Give files of points"),
        ("import-points DATA/annotations --into DATA", "annotations/points: is there already. Choose another name"),
        ("import-points DATA/imagesTr --into DATA --set-name new", "imagesTr: no points in this folder"),
    ],
)
def test_wrong_words_are_a_sentence(voxseed, dataset, tmp_path, line, sentence):
    before = sorted(tmp_path.rglob("*"))
    places = {"DATA": str(dataset), "NONE": str(tmp_path / "none")}
    words = [place + word[4:] if (place := places.get(word[:4])) else word for word in line.split()]
    answer = voxseed("dataset", *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
