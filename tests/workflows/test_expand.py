"""Expanding: a complete dataset with `ignore`, and how good it is."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.splits import Fold, Splits
from voxseed.data.volumes import read_label
from voxseed.errors import InputError, InterruptedRunError
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.workflows import expand as expand_module
from voxseed.workflows.expand import expand
from voxseed.workflows.simulate import simulate

AFFINE = np.diag([1.0, -1.0, 2.0, 1.0])
SHAPE = (20, 18, 12)
UNSURE = ExpansionSettings(foreground_threshold=0.2, background_threshold=0.95)
"""Leaves voxels undecided even where the contrast is strong."""


def make_dataset(root, file_ending=".nii.gz", count=4):
    data = Dataset.create(root, "Cubes", ["T1", "T2"], ["a", "b"], file_ending)
    rng = np.random.default_rng(0)
    label = np.zeros(SHAPE, np.uint8)
    label[3:9, 4:10, 3:9], label[9:16, 4:10, 3:9] = 1, 2
    for number in range(1, count + 1):
        image = np.stack([100 * label, 50 - 20 * label]) + rng.normal(0, 5, (2, *SHAPE))
        data.write_case(f"case_{number}", image.astype(np.float32), AFFINE, label)
    data.write_case("unseen", np.zeros((2, *SHAPE), np.float32), AFFINE, test=True)
    simulate(root, "points")
    return data


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "data")


def test_a_complete_dataset_with_ignore(dataset, tmp_path):
    summary = expand(dataset.root, None, UNSURE, tmp_path / "out")
    result = Dataset.open(tmp_path / "out")
    assert dict(result.labels) == {"background": 0, "a": 1, "b": 2, "ignore": 3}
    assert (result.cases, result.test_cases) == (("case_1", "case_2", "case_3", "case_4"), ("unseen",))
    assert result.channel_names == ("T1", "T2")
    np.testing.assert_array_equal(result.read_image("case_1").array, dataset.read_image("case_1").array)
    target = result.read_label("case_1")
    assert set(np.unique(target.array)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(target.affine, dataset.read_image("case_1").affine)
    assert [row[0] for row in summary.rows()] == ["background", "a", "b"]
    assert all(float(row[1]) > 0.9 for row in summary.rows())
    assert 0.3 < summary.mean_annotated_share < 1


def test_the_table_on_disk_counts_what_is_in_the_maps(dataset, tmp_path):
    expand(dataset.root, "points", ExpansionSettings(), tmp_path / "out")
    with (tmp_path / "out" / "expansion.csv").open() as file:
        rows = {(row["case"], row["class"]): row for row in csv.DictReader(file)}
    assert len(rows) == 4 * 3
    target = read_label(tmp_path / "out" / "labelsTr" / "case_2.nii.gz").array
    dense = dataset.read_label("case_2").array
    for name, value in (("background", 0), ("a", 1), ("b", 2)):
        row = rows["case_2", name]
        right = ((target == value) & (dense == value)).sum()
        assert int(row["labelled_voxels"]) == (target == value).sum()
        assert float(row["precision"]) == pytest.approx(right / (target == value).sum(), rel=1e-5)
        assert float(row["recall"]) == pytest.approx(right / (dense == value).sum(), rel=1e-5)
        assert float(row["annotated_share"]) == pytest.approx((target != 3).mean(), rel=1e-5)


def test_the_result_does_not_depend_on_the_threads(dataset, tmp_path, monkeypatch):
    expand(dataset.root, None, ExpansionSettings(), tmp_path / "many")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    expand(dataset.root, None, ExpansionSettings(), tmp_path / "one")
    assert (tmp_path / "many" / "expansion.csv").read_text() == (tmp_path / "one" / "expansion.csv").read_text()


def test_test_cases_are_not_trained_on(dataset, tmp_path):
    Splits(("case_4",), (Fold(("case_1", "case_2"), ("case_3",)),)).write(dataset.root / "splits.json")
    expand(dataset.root, None, ExpansionSettings(), tmp_path / "out")
    result = Dataset.open(tmp_path / "out")
    assert (result.cases, result.test_cases) == (("case_1", "case_2", "case_3"), ("case_4", "unseen"))
    assert not result.has_label("case_4")
    splits = result.splits()
    assert (splits.test, splits.folds) == (("case_4",), (Fold(("case_1", "case_2"), ("case_3",)),))


def test_without_dense_labels_there_is_no_precision(dataset, tmp_path):
    for case in dataset.cases:
        dataset.label_path(case).unlink()
    summary = expand(dataset.root, None, UNSURE, tmp_path / "out")
    assert summary.rows() == [(name, "-", 0, "-", 0) for name in ("background", "a", "b")]
    assert (tmp_path / "out" / "expansion.csv").read_text().splitlines()[1].startswith("case_1,,,,,,0.")


@pytest.mark.parametrize("file_ending", [".nrrd", ".mha", ".mhd"])
def test_other_formats_are_linked_whole(tmp_path, file_ending):
    data = make_dataset(tmp_path / "data", file_ending, count=1)
    expand(data.root, None, ExpansionSettings(), tmp_path / "out")
    result = Dataset.open(tmp_path / "out")
    np.testing.assert_array_equal(result.read_image("case_1").array, data.read_image("case_1").array)
    assert result.has_label("case_1")


def test_where_links_are_impossible_images_are_copied(dataset, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    expand(dataset.root, None, ExpansionSettings(), tmp_path / "out")
    np.testing.assert_array_equal(
        Dataset.open(tmp_path / "out").read_image("case_3").array, dataset.read_image("case_3").array
    )


def test_an_empty_folder_is_filled_and_another_is_left_alone(dataset, tmp_path):
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    expand(dataset.root, None, ExpansionSettings(), empty)
    assert Dataset.open(empty).cases
    with pytest.raises(InputError, match="full: is there already and not empty"):
        expand(dataset.root, None, ExpansionSettings(), full)
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]


def test_a_wrong_annotation_names_its_case_and_leaves_nothing_behind(dataset, tmp_path):
    (path,) = (dataset.root / "annotations" / "points" / "case_2").glob("a.mrk.json")
    path.write_text(path.read_text()[:60])
    with pytest.raises(InputError, match=r"case_2/a\.mrk\.json: expected a JSON file"):
        expand(dataset.root, None, ExpansionSettings(), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_annotations_of_test_cases_alone_are_nothing_to_train_on(dataset, tmp_path):
    Splits(dataset.cases, ()).write(dataset.root / "splits.json")
    with pytest.raises(InputError, match=r"no case of .* to train on is annotated"):
        expand(dataset.root, None, ExpansionSettings(), tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that belongs to a dataset."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in files.items() if name.parts[0] != ".expansion"}


def test_two_parts_give_the_dataset_of_one_job(tiny_dataset: Path, tmp_path: Path) -> None:
    settings = ExpansionSettings()
    whole = expand(tiny_dataset, None, settings, tmp_path / "whole")
    first = expand(tiny_dataset, None, settings, tmp_path / "parts", shard="1/2")
    assert (first.missing, len(first.cases)) == (2, 2)
    with pytest.raises(InputError, match=r"without dataset\.json"):
        Dataset.open(tmp_path / "parts")
    second = expand(tiny_dataset, None, settings, tmp_path / "parts", shard="2/2")
    assert (second.missing, second.rows()) == (0, whole.rows())
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts/labelsTr").iterdir()}
    assert expand(tiny_dataset, None, settings, tmp_path / "parts", shard="1/1").missing == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what is complete is left"


def test_parts_of_another_expansion_and_other_files_are_left_alone(tiny_dataset: Path, tmp_path: Path) -> None:
    expand(tiny_dataset, None, ExpansionSettings(), tmp_path / "parts", shard="1/2")
    before = contents(tmp_path / "parts")
    with pytest.raises(InputError, match="holds parts of an expansion with other settings, labels or cases"):
        expand(tiny_dataset, None, ExpansionSettings(foreground_threshold=0.3), tmp_path / "parts", shard="2/2")
    assert contents(tmp_path / "parts") == before
    with pytest.raises(InputError, match="is there already and not empty"):
        expand(tiny_dataset, None, ExpansionSettings(), tiny_dataset, shard="1/2")
    assert not (tiny_dataset / ".expansion").exists()


def test_ctrl_c_in_a_part_says_how_to_go_on(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = expand_module.build_supervision, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(expand_module, "build_supervision", interrupted)
    with pytest.raises(InterruptedRunError, match=r"complete cases are kept in .*parts\. Go on with the same command"):
        expand(tiny_dataset, None, ExpansionSettings(), tmp_path / "parts", shard="1/1")
    calls += [()] * 9
    assert expand(tiny_dataset, None, ExpansionSettings(), tmp_path / "parts", shard="1/1").missing == 0
    assert len(calls) == 11 + 3, "the first case was complete"
