"""Predicting while something else goes on: in a process of its own, which ends with the one that started it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from voxseed.errors import VoxseedError

_EVERYTHING = "1/1"
"""As a shard: what is complete is left, and no case is predicted by two jobs."""

_PATIENCE_SECONDS = 5.0
_NICENESS = 5


class BackgroundPrediction:
    """Predicts cases that are not complete in a folder, one after the other.

    Args:
        run: a run, or a model folder.
        inputs: images, see `predict`.
        out: folder of the predictions.
        options: further arguments of `predict`.
    """

    def __init__(self, run: Path, inputs: Sequence[Path], out: Path, options: Mapping[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")  # a copy of a process with threads may hang
        self._heard, self._said = context.Pipe(duplex=False)
        arguments = (self._said, run, list(inputs), out, dict(options))
        self._process = context.Process(target=_work, args=arguments, name="voxseed predict", daemon=True)
        self._problem = ""
        self._asking = Lock()

    def start(self) -> None:
        """Begin; returns at once."""
        self._process.start()
        self._said.close()  # the other end is the process's now

    @property
    def is_running(self) -> bool:
        """Whether cases may still come."""
        return self._process.is_alive()

    @property
    def problem(self) -> str:
        """Why cases were not predicted, in sentences; empty if nothing is wrong so far."""
        with self._asking:
            if not self._problem and self._process.exitcode is not None:
                self._problem = self._last_words()
            return self._problem

    def stop(self) -> None:
        """End it, in the middle of a case if need be; complete cases stay."""
        if self._process.pid is None:
            return
        self._process.terminate()
        self._process.join(_PATIENCE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _last_words(self) -> str:
        try:
            if self._heard.poll():
                return str(self._heard.recv())
        except EOFError:
            pass  # it ended without a word
        code = self._process.exitcode
        return f"The prediction ended with exit code {code}. Start again to go on with it." if code else ""


def _work(said: Connection, run: Path, inputs: Sequence[Path], out: Path, options: dict[str, Any]) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that no unfinished file is left
    Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    said.send(_problem_of(lambda: _predict(run, inputs, out, options)))


def _predict(run: Path, inputs: Sequence[Path], out: Path, options: dict[str, Any]) -> None:
    from voxseed.workflows.predict import predict

    predict(run, inputs, out, shard=_EVERYTHING, **options)


def _problem_of(work: Callable[[], None]) -> str:
    """The sentence that a user would be shown; empty if there is none."""
    try:
        work()
    except VoxseedError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or ''}: {error.strerror or error}.".removeprefix(": ")
    return ""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
