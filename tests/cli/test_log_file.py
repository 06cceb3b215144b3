"""--log-file: JSON lines, whatever becomes of the command."""

import json
from pathlib import Path

import pytest


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_command_that_ends_well(voxseed, dataset, tmp_path, trained):
    log = tmp_path / "logs" / "job.jsonl"
    words = ("predict", trained, dataset, "--out", tmp_path / "out", "--device", "cpu")
    assert voxseed(*words, "--log-file", log).code == 0
    first, *messages, last = lines(log)
    assert first["event"] == "start"
    assert first["command"] == [str(word) for word in words]
    assert [(each["message"], each["case"]) for each in messages] == [
        (f"Predicted ball_{number}", f"ball_{number}") for number in range(4)
    ]
    assert {each["level"] for each in messages} == {"info"}
    assert (last["event"], last["exit_code"], "message" in last) == ("end", 0, False)
    assert last["seconds"] > 0
    assert all(each["time"].endswith("+00:00") for each in lines(log))


def test_training_logs_its_plan_and_a_second_command_is_appended(voxseed, dataset, tmp_path, tiny):
    log = tmp_path / "job.jsonl"
    words = ("train", dataset, "--run", tmp_path / "run", "--method", "partial", *tiny, f"--log-file={log}")
    answer = voxseed(*words)
    assert answer.code == 0
    assert not answer.err, "what is logged for files is not for the screen"
    assert any(each.get("message", "").startswith("recipe: partial") for each in lines(log))
    assert voxseed(*words, "--resume").code == 0
    assert [each["event"] for each in lines(log)].count("start") == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("dataset", "check", "nowhere"), 2, "nowhere: no such dataset folder."),
        (("trian",), 2, None),
        (("--version",), 0, None),
    ],
)
def test_a_command_that_is_refused(voxseed, tmp_path, words, code, message):
    log = tmp_path / "job.jsonl"
    assert voxseed("--log-file", log, *words).code == code
    last = lines(log)[-1]
    assert (last["exit_code"], last.get("message")) == (code, message)


def test_a_defect_is_logged_before_it_shows(voxseed, tmp_path, monkeypatch):
    from voxseed.cli.main import main

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("voxseed.data.checks.check_dataset", broken)
    log = tmp_path / "job.jsonl"
    with pytest.raises(ZeroDivisionError):
        main(["dataset", "check", "x", "--log-file", str(log)])
    assert (lines(log)[-1]["exit_code"], lines(log)[-1]["message"]) == (1, "ZeroDivisionError: by zero")


def test_a_file_that_cannot_be_written_is_a_sentence(voxseed, tmp_path):
    answer = voxseed("--version", "--log-file", tmp_path)
    assert (answer.code, answer.err.endswith("cannot be written: Is a directory. Choose another place.\n")) == (2, True)
    answer = voxseed("--version", "--log-file")
    assert (answer.code, "expected the name of a file" in answer.err) == (2, True)


def test_processes_that_were_started_together_have_a_file_each(voxseed, tmp_path, monkeypatch):
    for variable, number in (("RANK", "1"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_RUN_ID", "none")):
        monkeypatch.setenv(variable, number)
    assert voxseed("list", "protocols", "--log-file", tmp_path / "job.jsonl").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["job.1.jsonl"]
