"""Dividing many cases among jobs that write into one folder: disjoint parts, and no case in two hands."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from voxseed.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """A part given as "I/N".

        Raises:
            InputError: if it is not two numbers with 1 <= I <= N.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise InputError(f"--shard {text}: expected I/N with I from 1 to N, such as 3/8, the third of eight parts.")
        return cls(int(match[1]), int(match[2]))

    def of(self, items: Sequence[T]) -> list[T]:
        """Every N-th item, from the I-th: the parts are disjoint, and together they are all."""
        return list(items[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@contextmanager
def claimed(folder: Path, case: str) -> Iterator[bool]:
    """Hold a case while it is worked on; False if another job holds it.

    The claim is a lock of the operating system, so it ends with the process, however that ends.

    Args:
        folder: of the locks, made if missing.
        case: its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{case}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
