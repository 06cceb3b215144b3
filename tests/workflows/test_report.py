"""A report of a run, of metrics, and of both."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.files import write_text
from voxseed.training.run_folder import COMPLETE, RunFolder, RunRecord, StageRecord
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.report import report


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """metrics.csv of four cases whose predictions get worse from a to d."""
    dataset = Dataset.create(tmp_path / "dataset", "Cubes", ["T1"], ["tumour"])
    for index, case in enumerate("abcd"):
        label = np.zeros((16, 14, 12), np.uint8)
        label[3:9, 3:9, 3:9] = 1
        dataset.write_case(case, label[None] * 9.0, np.eye(4), label)
        write_volume(tmp_path / "predictions" / f"{case}.nii.gz", Volume(np.roll(label, index, axis=0), np.eye(4)))
    return evaluate(tmp_path / "predictions", dataset.root, tmp_path / "metrics.csv").path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of one stage."""
    folder = RunFolder(tmp_path / "run")
    stage = StageRecord("stage-one", "pa-seg-one", ("primary",), 100, COMPLETE)
    record = RunRecord(recipe="pa-seg", dataset="Cubes", device="cpu", stages=(stage,), state=COMPLETE)
    folder.start(record, {"voxseed": "0.1.0", "packages": {"torch": "2.13.0"}, "command": ["voxseed", "train"]})
    write_text(folder.settings_path, "training:\n  seed: 17\n")
    write_text(
        folder.stage_path(0, record) / "metrics.csv", "epoch,step,seconds,primary/partial\n1,50,4,0.9\n2,100,4,0.4\n"
    )
    return folder.path


def test_metrics_alone(metrics: Path, tmp_path: Path) -> None:
    page = report(metrics, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 3 + 2  # worst, median, best; distribution in light and dark
    for title in ("Worst: d, Dice 0.500, on T1", "Median: c, Dice 0.667", "Best: a, Dice 1.000"):
        assert title in page
    assert "Training" not in page


def test_a_run_with_its_evaluation(metrics: Path, run: Path, tmp_path: Path) -> None:
    evaluate(tmp_path / "predictions", tmp_path / "dataset", run / "metrics.csv", against=metrics)
    page = report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (
        "<h1>pa-seg on Cubes</h1>",
        "01-stage-one · pa-seg-one, 100 steps in 8 s",
        "packages: torch",
        "seed: 17",
        "Paired comparison",
        "Worst: d",
    ):
        assert text in page


def test_metrics_beside_a_run_know_it(metrics: Path, run: Path, tmp_path: Path) -> None:
    evaluate(tmp_path / "predictions", tmp_path / "dataset", run / "other.csv")
    assert "01-stage-one" in report(run / "other.csv", tmp_path / "report.html").read_text(encoding="utf-8")


def test_metrics_elsewhere_with_a_given_run(metrics: Path, run: Path, tmp_path: Path) -> None:
    page = report(metrics, tmp_path / "report.html", run=run).read_text(encoding="utf-8")
    assert "01-stage-one" in page
    assert "Worst: d" in page


def test_a_run_that_was_not_evaluated_says_how(run: Path, tmp_path: Path) -> None:
    page = report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not evaluated yet: voxseed evaluate PREDICTIONS LABELS --out run/metrics.csv" in page
    assert "01-stage-one" in page


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("predictions", "No pictures: .*predictions: expected a folder of label maps, found none"),
        ("dataset/imagesTr", "No pictures: .*"),
        ("metrics.json", r"No pictures: metrics\.csv does not tell where its images are"),
    ],
)
def test_without_its_files_there_is_a_sentence_instead_of_pictures(
    metrics: Path, tmp_path: Path, gone: str, sentence: str
) -> None:
    path = tmp_path / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = report(metrics, tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(sentence, page)
    assert "Worst" not in page
    assert page.count("data:image/png") == 2


def test_one_case_is_shown_once(metrics: Path, tmp_path: Path) -> None:
    for case in "bcd":
        (tmp_path / "predictions" / f"{case}.nii.gz").unlink()
    evaluate(tmp_path / "predictions", tmp_path / "dataset", metrics)
    assert report(metrics, tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/png") == 1 + 2


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("nothing", "neither a run folder nor a metrics.csv"), ("dataset", r"no run there \(run\.json is missing\)")],
)
def test_neither_run_nor_metrics(metrics: Path, tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        report(tmp_path / source, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
