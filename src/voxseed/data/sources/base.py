"""What every source of cases gives: names, and per channel something that can be read."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.nifti import read_nifti, read_nifti_grid
from voxseed.data.volumes import Volume, read_grid, read_label, read_volume

_NAMED_FILES = 5


class Channel(Protocol):
    """One volume of a case, wherever it is."""

    @property
    def path(self) -> Path:
        """File or folder, for messages."""

    @property
    def description(self) -> str:
        """What it is, in a few words, for the table."""

    def files(self) -> list[Path]:
        """All files that it is in."""

    def read_grid(self) -> Grid:
        """Shape and affine, without the voxels."""

    def read(self) -> Volume:
        """The voxels."""


@dataclass(frozen=True)
class ImageFile:
    """A volume in a file that a dataset can hold as it is."""

    path: Path

    @property
    def description(self) -> str:
        """Its file name."""
        return self.path.name

    def files(self) -> list[Path]:
        """The file itself."""
        return [self.path]

    def read_grid(self) -> Grid:
        """Shape and affine from the header."""
        return read_grid(self.path)

    def read(self) -> Volume:
        """The voxels."""
        return read_volume(self.path)


@dataclass(frozen=True)
class LabelFile(ImageFile):
    """A label map in a file that a dataset can hold as it is."""

    def read(self) -> Volume:
        """The label values."""
        return read_label(self.path)


@dataclass(frozen=True)
class FrameOfFile:
    """One of the volumes of a 4D NIfTI file (I, J, K, M)."""

    path: Path
    index: int

    @property
    def description(self) -> str:
        """File name and number of the volume, from 0."""
        return f"{self.path.name}[{self.index}]"

    def files(self) -> list[Path]:
        """The file itself."""
        return [self.path]

    def read_grid(self) -> Grid:
        """Shape and affine from the header."""
        shape, affine = read_nifti_grid(self.path)
        return Grid((shape[0], shape[1], shape[2]), affine)

    def read(self) -> Volume:
        """The voxels of this volume."""
        array, affine = read_nifti(self.path)
        return Volume(array[..., self.index], affine)


@dataclass(frozen=True)
class FoundCase:
    """A case at its source.

    Attributes:
        name: as the source has it; may hold a patient's name.
        channels: in the order of the channel names.
        label: dense, if the format says so.
        is_test: set aside for tests by the source.
    """

    name: str
    channels: tuple[Channel, ...]
    label: Channel | None = None
    is_test: bool = False


@dataclass(frozen=True)
class LeftOut:
    """Files of a source that belong to no case.

    Attributes:
        names: paths below the source; may hold a patient's name.
        noun: what they are, `file` or `image file`.
        why: the end of the sentence, such as `not DICOM`.
    """

    names: tuple[str, ...]
    noun: str
    why: str

    @classmethod
    def below(cls, root: Path, files: Sequence[Path], noun: str, why: str) -> tuple["LeftOut", ...]:
        """Of files below a folder, or of the source itself; nothing if there are none."""
        names = tuple(file.name if file == root else file.relative_to(root).as_posix() for file in files)
        return (cls(names, noun, why),) if names else ()

    def sentence(self, is_named: bool) -> str:
        """How many and why; and which are the first."""
        first = ", ".join(self.names[:_NAMED_FILES])
        more = f" and {len(self.names) - _NAMED_FILES} more" if len(self.names) > _NAMED_FILES else ""
        return f"{counted(self.names, self.noun)} left out, {self.why}{f': {first}{more}' if is_named else ''}."


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Attributes:
        kind: of source, for people.
        cases: that are complete.
        channel_names: one per channel.
        labels: None if the source says nothing about labels.
        problems: one sentence per case that cannot be imported.
        notes: what there is to know; without names.
        left_out: files that were.
    """

    kind: str
    cases: tuple[FoundCase, ...]
    channel_names: tuple[str, ...]
    labels: Labels | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is asked of a source.

    Attributes:
        channels: names, in order; empty for what the source has.
        series: chooses among several series or files of a case; None for all.
    """

    channels: tuple[str, ...] = ()
    series: re.Pattern[str] | None = None

    def admits(self, text: str) -> bool:
        """Whether a series description or a file name may be used."""
        return self.series is None or self.series.search(text) is not None


def channel_in(text: str, channels: Sequence[str]) -> str | None:
    """The longest channel name that a text holds as a word of its own, in any case: T1 is not in T1ce."""
    held = [name for name in channels if _word(name).search(text)]
    return max(held, key=len, default=None)


def without_channel(text: str, channel: str) -> str:
    """The text without the last occurrence of the channel name, and without what separated it."""
    match = list(_word(channel).finditer(text))[-1]
    before, after = text[: match.start()].rstrip(" ._-"), text[match.end() :].lstrip(" ._-")
    return "_".join(part for part in (before, after) if part)


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark after its preamble."""
    with path.open("rb") as file:
        file.seek(128)
        return file.read(4) == b"DICM"


def counted(items: Iterable[object] | int, noun: str) -> str:
    """`1 file`, `2 files`; for nouns with a regular plural."""
    count = items if isinstance(items, int) else len(list(items))
    return f"{count} {noun}{'' if count == 1 or noun == 'series' else 's'}"


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.IGNORECASE)
