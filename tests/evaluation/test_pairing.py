"""Which files belong together, and what is said when they do not."""

import shutil
from pathlib import Path

import pytest

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.evaluation.pairing import pair_files


def test_a_label_folder(dataset: Dataset, tmp_path: Path) -> None:
    pairing = pair_files(tmp_path / "predictions", dataset.root / "labelsTr")
    assert [pair.case for pair in pairing.pairs] == ["a", "b", "c"]
    assert pairing.pairs[1].label == dataset.root / "labelsTr" / "b.nii.gz"
    assert pairing.labels.foreground == ("tumour", "cyst")
    assert pairing.dataset.samefile(dataset.root)


def test_a_relative_label_folder(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dataset.root / "labelsTr")
    assert pair_files(tmp_path / "predictions", Path(".")).labels.foreground == ("tumour", "cyst")


def test_a_dataset_is_restricted_to_the_predicted_cases(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "predictions" / "b.nii.gz").unlink()
    (dataset.root / "labelsTs").mkdir()
    (dataset.root / "labelsTr" / "c.nii.gz").rename(dataset.root / "labelsTs" / "c.nii.gz")
    pairing = pair_files(tmp_path / "predictions", dataset.root)
    assert [pair.case for pair in pairing.pairs] == ["a", "c"]
    assert pairing.unpredicted == ("b",)


def test_a_prediction_without_a_label_is_named(dataset: Dataset, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "predictions" / "a.nii.gz", tmp_path / "predictions" / "stranger.nii.gz")
    assert pair_files(tmp_path / "predictions", dataset.root / "labelsTr").unlabelled == ("stranger",)


def test_a_label_without_a_prediction_is_an_error(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "predictions" / "b.nii.gz").unlink()
    with pytest.raises(InputError, match=r"1 of 3 labelled cases have no prediction: b\. Predict them"):
        pair_files(tmp_path / "predictions", dataset.root / "labelsTr")


def test_names_may_come_with_the_predictions_as_nnunet_writes_them(dataset: Dataset, tmp_path: Path) -> None:
    shutil.copytree(dataset.root / "labelsTr", tmp_path / "elsewhere" / "labels")
    with pytest.raises(InputError, match=r"no dataset\.json there, in the folder above or in .*predictions"):
        pair_files(tmp_path / "predictions", tmp_path / "elsewhere" / "labels")
    shutil.copy(dataset.root / "dataset.json", tmp_path / "predictions")
    assert pair_files(tmp_path / "predictions", tmp_path / "elsewhere" / "labels").labels["cyst"] == 2


def test_the_same_case_in_two_formats(dataset: Dataset, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "predictions" / "a.nii.gz", tmp_path / "predictions" / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii\.gz: duplicate case, it is also .*a\.nii"):
        pair_files(tmp_path / "predictions", dataset.root)


def test_nothing_in_common(dataset: Dataset, tmp_path: Path) -> None:
    for case in "abc":
        (tmp_path / "predictions" / f"{case}.nii.gz").rename(tmp_path / "predictions" / f"x{case}.nii.gz")
    with pytest.raises(InputError, match="no label for any of the 3 predictions"):
        pair_files(tmp_path / "predictions", dataset.root)


@pytest.mark.parametrize(("name", "sentence"), [("nowhere", "found none"), ("file.txt", "found a file")])
def test_no_folder(dataset: Dataset, tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match=sentence):
        pair_files(tmp_path / name, dataset.root)


def test_an_empty_folder(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".a.nii.gz").touch()  # a file that is being written
    with pytest.raises(InputError, match=r"empty: no label maps; expected files such as CASE\.nii\.gz"):
        pair_files(tmp_path / "empty", dataset.root)
