"""Exports as a user asks for them, and the dataset as nnU-Net checks it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import read_label, read_volume
from voxseed.errors import InputError
from voxseed.settings import write_yaml
from voxseed.training.run_folder import RunFolder, RunRecord
from voxseed.training.settings import load_run_settings
from voxseed.workflows.export import export
from voxseed.workflows.relabel import relabel


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as far as an export of the dataset reads it: its record and its settings."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    write_yaml(folder.settings_path, load_run_settings(None, None, ["expansion.foreground_threshold=0.3"]))
    folder.start(RunRecord("pa-seg", "Balls", "cpu", ()), {})
    return folder.path


@pytest.fixture
def dataset(tiny_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_dataset, tmp_path / "data"))


def test_the_dataset_for_nnunet_has_consecutive_labels_with_ignore(run: Path, dataset: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "Dataset501_Balls", "nnunet", dataset=dataset)
    exported = Dataset.open(out)
    assert dict(exported.labels) == {"background": 0, "ball": 1, "ignore": 2}
    assert exported.cases == Dataset.open(dataset).cases
    for case in exported.cases:
        values = np.unique(read_label(exported.label_path(case)).array)
        assert values.tolist() == [0, 1, 2]
        assert read_volume(exported.image_paths(case)[0]).shape == (24, 20, 16)


def test_label_values_with_gaps_are_closed(run: Path, dataset: Path, tmp_path: Path) -> None:
    import json

    for path in (dataset / "dataset.json", dataset / "annotations/points/annotations.json"):
        path.write_text(path.read_text().replace('"ball": 1', '"ball": 4').replace('"ignore": 2', '"ignore": 5'))
    shutil.rmtree(dataset / "labelsTr")
    assert json.loads((dataset / "dataset.json").read_text())["labels"]["ball"] == 4
    out = export(run, tmp_path / "Dataset501_Balls", "nnunet", dataset=dataset)
    assert dict(Dataset.open(out).labels) == {"background": 0, "ball": 1, "ignore": 2}
    assert np.unique(read_label(out / "labelsTr/ball_0.nii.gz").array).tolist() == [0, 1, 2]


@pytest.mark.slow
def test_nnunet_s_own_check_accepts_the_dataset(run: Path, dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("nnunetv2")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    relabel(dataset, {}, ["cyst"])
    shutil.copy(
        dataset / "annotations/points/ball_0/ball.mrk.json", dataset / "annotations/points/ball_1/cyst.mrk.json"
    )
    markups = dataset / "annotations/points/ball_1/cyst.mrk.json"
    markups.write_text(markups.read_text().replace('"name": "ball"', '"name": "cyst"'))
    out = export(run, tmp_path / "Dataset501_Balls", "nnunet", dataset=dataset)
    verify_dataset_integrity(str(out), num_processes=1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"format": "onyx"}, r"--format onyx: unknown format\. Known: bundle, onnx, nnunet\."),
        ({"format": "bundle"}, "run: no model in it"),
        ({"format": "nnunet"}, "give the dataset that the run was trained on with --dataset"),
        (
            {"format": "nnunet", "dataset": "data", "out": "balls"},
            "nnU-Net wants folders called like Dataset501_Tumour",
        ),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    run: Path, dataset: Path, tmp_path: Path, words: dict[str, str], sentence: str
) -> None:
    words = dict(words)
    out, format = tmp_path / words.pop("out", "Dataset501_Balls"), words.pop("format")
    with pytest.raises(InputError, match=sentence):
        export(run, out, format, dataset=tmp_path / words["dataset"] if words else None)
    assert not out.exists()


def test_options_of_other_formats_are_refused(run: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--member: means nothing with --format nnunet"):
        export(run, tmp_path / "Dataset501_Balls", "nnunet", dataset=dataset, member="primary")
    with pytest.raises(InputError, match="--annotations: means nothing with --format onnx"):
        export(run, tmp_path / "onnx", "onnx", annotations="points")


def test_a_folder_without_run_and_a_strange_ending_are_sentences(run: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run there, whose settings say how points are grown"):
        export(dataset, tmp_path / "Dataset501_Balls", "nnunet", dataset=dataset)
    other = Dataset.create(tmp_path / "other", "other", ["MRI"], ["ball"], ".mhd")
    other.write_case("a", np.zeros((1, 4, 4, 4), np.float32), np.eye(4))
    with pytest.raises(InputError, match=r"nnU-Net reads \.nii\.gz, .*these files end in \.mhd"):
        export(run, tmp_path / "Dataset501_Balls", "nnunet", dataset=other.root)
