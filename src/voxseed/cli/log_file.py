"""Structured logs: a JSON object per line, for those who watch many jobs."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from voxseed import __version__
from voxseed.errors import InputError, VoxseedError
from voxseed.launch import process_number

_FAILED = 1


@contextmanager
def logged_to(path: Path | None, words: Sequence[str]) -> Iterator[None]:
    """Append what a command does to a file: one object when it starts, one per message, one when it ends.

    Of processes that were started together only the first writes into it; the others have files of their own beside it,
    job.1.jsonl and so on, because machines that share a file system cannot append to one file without loss.

    Args:
        path: of the file; None for no log.
        words: of the command.

    Raises:
        InputError: if the file cannot be written to.
    """
    if path is None:
        yield
        return
    number = process_number()
    if number:
        path = path.with_suffix(f".{number}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--log-file {path}: cannot be written: {error.strerror}. Choose another place.") from None
    log, handler, begin = logging.getLogger("voxseed"), _JsonLines(file), time.monotonic()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    handler.write("start", voxseed=__version__, command=list(words))
    code: int | None = _FAILED
    message: str | None = None
    try:
        yield
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else _FAILED
        raise
    except VoxseedError as error:
        code, message = error.exit_code, str(error)
        raise
    except OSError as error:  # which the command line turns into a sentence
        code, message = InputError.exit_code, str(error)
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        handler.write("end", exit_code=code, message=message, seconds=round(time.monotonic() - begin, 3))
        log.removeHandler(handler)
        log.setLevel(level)
        file.close()


class _JsonLines(logging.Handler):
    """Writes log records; `facts` of a record become keys of its own."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(logging.INFO)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, Any] = getattr(record, "facts", {})
        self.write("message", level=record.levelname.lower(), message=record.getMessage(), **facts)

    def write(self, event: str, **values: Any) -> None:
        """One line; keys without a value are left out."""
        known = {key: value for key, value in values.items() if value is not None}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **known}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
