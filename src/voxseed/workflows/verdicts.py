"""What a reviewer said of predictions: a small file beside them, written with every change."""

from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout

from voxseed.errors import InputError
from voxseed.files import read_json_object, write_json, writing

FILE_NAME = "verdicts.json"
VERSION = 1
_LOCK_NAME = ".review.lock"


class Verdict(StrEnum):
    """What a person says of a prediction."""

    UNDECIDED = "undecided"
    ACCEPTED = "accepted"
    FLAGGED = "flagged"


class Verdicts:
    """The verdicts on the predictions of a folder. Each is on one prediction; of another of that case it says nothing.

    Only one process at a time has them.

    Args:
        folder: of the predictions, made if it is not there.

    Raises:
        InputError: if the folder cannot be written, another process has it, or there is a file that cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._lock = Lock()
        self._process_lock = FileLock(folder / _LOCK_NAME)
        with writing(folder / _LOCK_NAME):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._process_lock.acquire(timeout=0)
            except Timeout:
                raise InputError(f"{folder}: another voxseed review shows these predictions. Stop it first.") from None
        self._said = _read(self._path) if self._path.exists() else {}

    def close(self) -> None:
        """Let another process have them."""
        self._process_lock.release()

    def of(self, case: str, prediction: str) -> Verdict:
        """The verdict on a prediction of a case."""
        verdict, judged = self._said.get(case, (Verdict.UNDECIDED, prediction))
        return verdict if judged == prediction else Verdict.UNDECIDED

    def say(self, case: str, prediction: str, verdict: Verdict) -> None:
        """Judge a prediction; on disk before this returns.

        Raises:
            InputError: if the file cannot be written; nothing is changed then.
        """
        with self._lock:
            said = {other: each for other, each in self._said.items() if other != case}
            if verdict != Verdict.UNDECIDED:
                said[case] = (verdict, prediction)
            if said != self._said:
                verdicts = {
                    name: {"verdict": str(each), "prediction": judged} for name, (each, judged) in sorted(said.items())
                }
                write_json(self._path, {"version": VERSION, "verdicts": verdicts})
                self._said = said


def _read(path: Path) -> dict[str, tuple[Verdict, str]]:
    content = read_json_object(path)
    try:
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']}")
        return {case: _parsed(each) for case, each in content["verdicts"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected verdicts of voxseed review, version {VERSION}, but found {error}. "
            "Restore a copy, or remove it to begin the review anew."
        ) from None


def _parsed(each: dict[str, Any]) -> tuple[Verdict, str]:
    return Verdict(each["verdict"]), str(each["prediction"])
