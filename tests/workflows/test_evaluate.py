"""Evaluate a folder into metrics.csv."""

from pathlib import Path

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.evaluation.metrics_file import read_metrics
from voxseed.evaluation.record import read_record
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.prediction_records import PredictionRecord, write_record
from voxseed.workflows.report import report


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Labels of three cases; predictions `good` are moved by one voxel, `poor` by two and missed in case c."""
    dataset = Dataset.create(tmp_path / "dataset", "Cubes", ["T1"], ["tumour"])
    for case in "abc":
        label = np.zeros((12, 12, 12), np.uint8)
        label[3:7, 3:7, 3 : 7 + "abc".index(case)] = 1
        dataset.write_case(case, label[None].astype(np.float32), np.eye(4), label)
        poor = np.roll(label, 2, axis=0) if case != "c" else np.zeros_like(label)
        for name, prediction in (("good", np.roll(label, 1, axis=0)), ("poor", poor)):
            write_volume(tmp_path / name / f"{case}.nii.gz", Volume(prediction, np.eye(4)))
    return dataset.root / "labelsTr"


def test_rows_summary_and_record(labels: Path, tmp_path: Path) -> None:
    summary = evaluate(tmp_path / "poor", labels, tmp_path / "out" / "metrics.csv")
    assert [row.case for row in summary.rows] == ["a", "b", "c"]
    assert (summary.summaries[0].missed, summary.summaries[0].estimates["dice"].mean) == (1, pytest.approx(1 / 3))
    assert [row.dice for row in read_metrics(summary.path)] == [0.5, 0.5, 0.0]
    record = read_record(summary.path)
    assert record is not None
    assert (record.labels.resolve(), record.tolerance_mm) == (labels, 2.0)
    assert "(2 of 3)" in summary.text()


def test_against_another_method(labels: Path, tmp_path: Path) -> None:
    evaluate(tmp_path / "poor", labels, tmp_path / "poor.csv")
    summary = evaluate(tmp_path / "good", labels, tmp_path / "good.csv", against=tmp_path / "poor.csv")
    dice, assd = summary.comparisons[:2]
    assert (dice.metric, dice.difference.cases) == ("dice", 3)
    assert dice.difference.mean == pytest.approx((0.25 + 0.25 + 0.75) / 3)
    assert (assd.metric, assd.difference.cases) == ("assd_mm", 2)
    assert "p (Wilcoxon)" in summary.text()


def test_oracles_of_both_models_are_named(labels: Path, tmp_path: Path) -> None:
    for case in "abc":
        files = (f"{case}.nii.gz",)
        write_record(tmp_path / "poor", PredictionRecord(case, {}, files, (), (), {}, oracles=("true volume",)))
    poor = evaluate(tmp_path / "poor", labels, tmp_path / "poor.csv")
    good = evaluate(tmp_path / "good", labels, tmp_path / "good.csv", against=tmp_path / "poor.csv")
    assert poor.oracle_notes == ("Oracle: the model of these predictions was told the true volume, from dense labels.",)
    assert good.oracle_notes == (
        "Oracle: the model of the other predictions was told the true volume, from dense labels.",
    )
    assert good.oracle_notes[0] in good.text()
    page = report(tmp_path / "good.csv", tmp_path / "report.html")
    assert good.oracle_notes[0] in page.read_text(encoding="utf-8")


def test_other_cases_are_refused_before_anything_is_written(labels: Path, tmp_path: Path) -> None:
    evaluate(tmp_path / "poor", labels, tmp_path / "poor.csv")
    (tmp_path / "good" / "c.nii.gz").unlink()
    with pytest.raises(InputError, match=r"poor\.csv: a paired comparison needs the same cases.* case 'c'"):
        evaluate(tmp_path / "good", labels.parent, tmp_path / "good.csv", against=tmp_path / "poor.csv")
    assert not (tmp_path / "good.csv").exists()


def test_what_was_left_out_is_said(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "good" / "b.nii.gz").rename(tmp_path / "good" / "x.nii.gz")
    summary = evaluate(tmp_path / "good", labels.parent, tmp_path / "good.csv")
    assert summary.warnings == (
        "1 predicted cases have no label and were not evaluated: x.",
        "1 labelled cases of the dataset have no prediction and were not evaluated: b.",
    )


def test_nothing_is_written_when_a_prediction_is_damaged(labels: Path, tmp_path: Path) -> None:
    (tmp_path / "good" / "b.nii.gz").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"b\.nii\.gz"):
        evaluate(tmp_path / "good", labels, tmp_path / "out" / "metrics.csv")
    assert not (tmp_path / "out").exists()


def test_out_must_be_a_csv(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the name of a file that ends in \.csv"):
        evaluate(tmp_path / "good", labels, tmp_path / "metrics.json")
