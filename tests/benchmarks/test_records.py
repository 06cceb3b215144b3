"""A row is taken if everything that it follows from is the same, and only then."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from voxseed.benchmarks.records import COMPLETE, RowFolder, RowKey, RowRecord
from voxseed.errors import InputError

KEY = RowKey(
    settings={"training": {"seed": 0, "iterations": 10}},
    data={"trained": {"a": "01", "b": "02"}, "measured": {"c": "03"}},
    code="abc",
    starts_from={"primary": "fff:primary"},
)
CHANGES = [
    ({"settings": {"training": {"seed": 0, "iterations": 20}}}, "other settings: training.iterations = 20, not 10"),
    ({"data": {**KEY.data, "trained": {"a": "01", "b": "09"}}}, "other data: trained.b = '09', not '02'"),
    ({"data": {**KEY.data, "measured": {"d": "04"}}, "starts_from": {}}, "other measured cases"),
    ({"code": "abd"}, "Voxseed's code changed"),
    ({"starts_from": {"primary": "eee:primary"}}, "the row that it starts from changed"),
]


def finished(folder: RowFolder, key: RowKey = KEY) -> RowRecord:
    record = RowRecord("scm", "SCM", 0, key, COMPLETE, {"training": 2.5}, 30.0, {"voxseed": "0.1.0"})
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(record)
    folder.metrics.touch()
    return record


def test_a_finished_row_of_the_same_key_is_taken(tmp_path: Path) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    assert folder.complete(KEY) is None
    record = finished(folder)
    assert folder.complete(KEY) == record


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_a_changed_key_is_another_row_and_says_why(tmp_path: Path, change: dict, reason: str) -> None:
    finished(RowFolder.of(tmp_path, "scm", 0, KEY))
    key = replace(KEY, **change)
    folder = RowFolder.of(tmp_path, "scm", 0, key)
    assert folder.complete(key) is None
    earlier = folder.earlier()
    assert earlier is not None
    assert key.why_other(earlier.key) == reason


@pytest.mark.parametrize("change", [change for change, _ in CHANGES])
def test_what_a_training_follows_from_makes_another_training(tmp_path: Path, change: dict) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    finished(folder)
    folder.run.mkdir()
    other = replace(KEY, **change)
    assert RowFolder.of(tmp_path, "scm", 0, other).trained_alike(other) is None


def test_a_training_is_the_same_whatever_is_measured(tmp_path: Path) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    settings = {**KEY.settings, "prediction": {"ensemble": True}}
    key = replace(KEY, settings=settings, data={**KEY.data, "measured": {"d": "04"}})
    other = RowFolder.of(tmp_path, "scm-again", 0, key)
    record = finished(folder)
    assert other.trained_alike(key) is None  # a row without a run
    folder.run.mkdir()
    assert other.trained_alike(key) == folder
    folder.write(replace(record, state="running"))
    assert other.trained_alike(key) is None


def test_a_folder_under_a_wrong_name_is_not_taken(tmp_path: Path) -> None:
    other = replace(KEY, code="abd")
    finished(RowFolder.of(tmp_path, "scm", 0, KEY))
    folder = RowFolder.of(tmp_path, "scm", 0, other)
    RowFolder.of(tmp_path, "scm", 0, KEY).path.rename(folder.path)
    assert folder.complete(other) is None


@pytest.mark.parametrize("missing", ["metrics", "state"])
def test_an_unfinished_row_is_not_taken(tmp_path: Path, missing: str) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    record = finished(folder)
    if missing == "metrics":
        folder.metrics.unlink()
    else:
        folder.write(replace(record, state="running"))
    assert folder.complete(KEY) is None


def test_rows_of_other_seeds_are_no_earlier_ones(tmp_path: Path) -> None:
    finished(RowFolder.of(tmp_path, "scm", 1, KEY))
    assert RowFolder.of(tmp_path, "scm", 0, KEY).earlier() is None


def test_a_record_that_was_cut_off_says_what_to_do(tmp_path: Path) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    finished(folder)
    path = folder.path / "record.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(InputError, match=f"expected a JSON file.* Or remove {folder.path}, and the row is made again"):
        folder.read()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format_version": 9}, "format version 9"),
        ({"seed": 0, "digest": "0" * 64}, "its digest is not that of its content"),
        ({"key": {"settings": {}}}, "damaged"),
    ],
)
def test_a_record_that_was_changed_by_hand(tmp_path: Path, change: dict, sentence: str) -> None:
    folder = RowFolder.of(tmp_path, "scm", 0, KEY)
    finished(folder)
    path = folder.path / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=sentence):
        folder.read()
