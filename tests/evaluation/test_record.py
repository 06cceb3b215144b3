"""What a metrics.csv was measured on."""

from pathlib import Path

import pytest

from voxseed.errors import InputError
from voxseed.evaluation.record import EvaluationRecord, read_record, record_path, write_record


def test_a_moved_folder_still_finds_its_files(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "labels").mkdir(parents=True)
    write_record(
        before / "metrics.csv", EvaluationRecord(before / "predictions", before / "labels", before, tolerance_mm=1.5)
    )
    before.rename(after)
    record = read_record(after / "metrics.csv")
    assert record == EvaluationRecord(after / "predictions", after / "labels", after, tolerance_mm=1.5)


def test_the_file_holds_no_absolute_path(tmp_path: Path) -> None:
    write_record(
        tmp_path / "a.csv", EvaluationRecord(tmp_path / "p", tmp_path / "l", tmp_path, 2.0, tmp_path / "b.csv")
    )
    assert str(tmp_path) not in record_path(tmp_path / "a.csv").read_text()


def test_none(tmp_path: Path) -> None:
    assert read_record(tmp_path / "metrics.csv") is None


def test_damaged(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"predictions": "p"}')
    with pytest.raises(InputError, match=r"metrics\.json: damaged"):
        read_record(tmp_path / "metrics.csv")
