"""Run folders: state, versions, locks."""

import json
import multiprocessing

import pytest

from voxseed.errors import InputError
from voxseed.training.run_folder import COMPLETE, RunFolder, RunRecord, StageRecord

RECORD = RunRecord(
    "pa-seg",
    "Balls",
    "cpu",
    (StageRecord("stage-one", "stage-one", ("primary",), 10), StageRecord("scm", "scm", ("primary",), 5)),
)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.start(RECORD, {"dataset_fingerprint": "abc"})
    return run


def test_a_record_reads_back(folder):
    assert folder.read() == RECORD


def test_a_run_is_complete_with_its_last_stage(folder):
    folder.complete_stage(0)
    assert [stage.state for stage in folder.read().stages] == [COMPLETE, "running"]
    assert folder.read().state == "running"
    folder.complete_stage(1)
    assert folder.read().state == COMPLETE


def test_stage_folders_are_numbered_from_one(folder):
    assert folder.stage_path(1, RECORD).name == "02-scm"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "expected a JSON file"),
        ("[]", "expected format version 1, found None"),
        (json.dumps({"format_version": 7}), "expected format version 1, found 7"),
        (json.dumps({"format_version": 1, "stages": [{"nam": 1}]}), "damaged"),
        (json.dumps({"format_version": 1}), "damaged"),
    ],
)
def test_a_bad_record_is_a_sentence(folder, content, sentence):
    folder.record_path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        folder.read()


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"found 'thesis\.tex'.*--run"):
        RunFolder(tmp_path).require_free()


def test_other_data_are_refused(folder):
    folder.require_same_data("abc")
    with pytest.raises(InputError, match="not those that the run began on"):
        folder.require_same_data("abd")


def _locked_elsewhere(path, answer):
    try:
        with RunFolder(path).locked():
            answer.put("entered")
    except InputError as error:
        answer.put(str(error))


def test_a_second_process_is_kept_out(folder):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with folder.locked():
        process = context.Process(target=_locked_elsewhere, args=(folder.path, answer))
        process.start()
        assert "another process is training" in answer.get(timeout=60)
        process.join()


def test_nothing_is_left_where_no_run_began(tmp_path):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(RuntimeError), run.locked():
        raise RuntimeError
    assert not run.path.exists()
