"""Verdicts on predictions: kept in a file, each on one prediction."""

import json
from pathlib import Path

import pytest

from voxseed.errors import InputError
from voxseed.workflows.verdicts import Verdict, Verdicts


def test_what_was_said_is_on_disk_at_once_and_found_again(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path / "new")
    verdicts.say("anna", "p1", Verdict.ACCEPTED)
    verdicts.say("bert", "p2", Verdict.FLAGGED)
    assert json.loads((tmp_path / "new/verdicts.json").read_text()) == {
        "version": 1,
        "verdicts": {
            "anna": {"verdict": "accepted", "prediction": "p1"},
            "bert": {"verdict": "flagged", "prediction": "p2"},
        },
    }
    verdicts.close()
    again = Verdicts(tmp_path / "new")
    assert again.of("anna", "p1") == Verdict.ACCEPTED
    assert again.of("bert", "p2") == Verdict.FLAGGED
    assert again.of("carl", "p3") == Verdict.UNDECIDED


def test_a_verdict_says_nothing_of_another_prediction(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.say("anna", "old", Verdict.ACCEPTED)
    assert verdicts.of("anna", "new") == Verdict.UNDECIDED
    verdicts.say("anna", "new", Verdict.FLAGGED)
    assert verdicts.of("anna", "new") == Verdict.FLAGGED
    assert verdicts.of("anna", "old") == Verdict.UNDECIDED


def test_taken_back(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.say("anna", "p1", Verdict.ACCEPTED)
    verdicts.say("anna", "p1", Verdict.UNDECIDED)
    assert json.loads((tmp_path / "verdicts.json").read_text())["verdicts"] == {}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = Verdicts(tmp_path)
    with pytest.raises(InputError, match=r"another voxseed review shows these predictions\. Stop it first"):
        Verdicts(tmp_path)
    first.close()
    Verdicts(tmp_path).close()


@pytest.mark.parametrize(
    "content",
    [
        '{"version": 2, "verdicts": {}}',
        '{"version": 1}',
        '{"version": 1, "verdicts": []}',
        '{"version": 1, "verdicts": {"anna": "accepted"}}',
        '{"version": 1, "verdicts": {"anna": {"verdict": "fine", "prediction": "p"}}}',
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "verdicts.json").write_text(content)
    with pytest.raises(InputError, match=r"verdicts\.json: expected verdicts of voxseed review, version 1, but found"):
        Verdicts(tmp_path)
