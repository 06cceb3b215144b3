"""Predicting in a process of its own: what it says when it cannot, and that it ends when it is told to."""

import time
from pathlib import Path

from voxseed.workflows.background_prediction import BackgroundPrediction

PATIENCE_SECONDS = 120


def until_ended(prediction: BackgroundPrediction) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while prediction.is_running and time.monotonic() < until:
        time.sleep(0.05)


def test_what_it_could_not_do_is_a_sentence(tmp_path: Path) -> None:
    prediction = BackgroundPrediction(tmp_path / "nowhere", [], tmp_path / "out", {})
    prediction.start()
    until_ended(prediction)
    assert not prediction.is_running
    assert prediction.problem == f"{tmp_path / 'nowhere'}: no such folder. Give the folder of a run, or of a model."
    prediction.stop()


def test_before_it_is_started_nothing_runs_and_nothing_is_to_stop(tmp_path: Path) -> None:
    prediction = BackgroundPrediction(tmp_path, [], tmp_path, {})
    assert not prediction.is_running
    assert prediction.problem == ""
    prediction.stop()


def test_stopped_at_once(tmp_path: Path) -> None:
    prediction = BackgroundPrediction(tmp_path / "nowhere", [], tmp_path / "out", {})
    prediction.start()
    prediction.stop()
    assert not prediction.is_running
