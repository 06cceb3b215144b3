"""Rounds of a stage whose method makes new targets: where they are kept, and which patch is cut from which.

The round of a patch follows from its number alone, so that workers need to be told nothing and a resumed stage sees
the same targets.
"""

import hashlib
import math
import shutil
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from voxseed.data.cache import CachedCase, CaseContent, PatchCache
from voxseed.errors import InputError
from voxseed.training.cases import TrainingCase
from voxseed.types import LabelArray


@dataclass(frozen=True)
class Rounds:
    """The targets of a stage's rounds on disk.

    Attributes:
        folder: of the targets.
        first_epochs: with which the second and further rounds begin, ascending, epochs counted from 0.
        patches_per_epoch: of all devices.
    """

    folder: Path
    first_epochs: tuple[int, ...]
    patches_per_epoch: int

    @classmethod
    def planned(cls, folder: Path, count: int, epochs: int, patches_per_epoch: int) -> "Rounds":
        """At most `count` rounds of about as many epochs each."""
        first = {math.ceil(epochs * number / count) for number in range(1, count)}
        return cls(folder, tuple(sorted(first - {0, epochs})), patches_per_epoch)

    def begins(self, epochs_done: int) -> bool:
        """Whether a new round begins when so many epochs are done."""
        return epochs_done in self.first_epochs

    def relabelled(self, case: TrainingCase, index: int) -> TrainingCase:
        """The case with the target that patch number `index` is cut from.

        Raises:
            InputError: if the target is missing or damaged.
        """
        number = bisect_right(self.first_epochs, index // self.patches_per_epoch)
        return case if number == 0 else replace(case, supervision=_kept(self._path(number), case.name))

    def keep(self, targets: Iterable[tuple[str, LabelArray]], epochs_done: int) -> None:
        """Write the targets of the round that begins when so many epochs are done, in place of earlier ones.

        Args:
            targets: name of the case, and (I, J, K) class indices on the working grid; taken one at a time.
        """
        path = self._path(bisect_right(self.first_epochs, epochs_done))
        if path.exists():
            shutil.rmtree(path)
        for name, target in targets:
            PatchCache(path).case(_key(name), lambda target=target: ({"target": target}, {}))  # type: ignore[misc]

    def _path(self, number: int) -> Path:
        return self.folder / f"round-{number + 1}"


@lru_cache(maxsize=4096)
def _kept(path: Path, name: str) -> CachedCase:
    """A target that was written; looked for, and its checksum compared, once per process."""

    def missing() -> CaseContent:
        raise InputError(f"{path}: the target of case {name} is missing or damaged. Train this stage again.")

    return PatchCache(path).case(_key(name), missing)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
