"""Which files of a folder belong to which case, by nnU-Net's names: CASE_0000.nii.gz, CASE_0001.nii.gz."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.volumes import suffix_of

_CHANNEL_NAME = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        cases: sorted.
        problems: one sentence per thing that is wrong.
    """

    cases: tuple[str, ...]
    problems: tuple[str, ...]


def image_name(case: str, channel: int, file_ending: str) -> str:
    """File name of one channel of a case."""
    return f"{case}_{channel:04d}{file_ending}"


def list_images(folder: Path, file_ending: str, channel_count: int) -> Listing:
    """Cases of an image folder; nothing is opened, so that thousands of cases cost one listing."""
    channels: dict[str, set[int]] = defaultdict(set)
    problems: list[str] = []
    stems, wrong_endings = _stems(folder, file_ending)
    for stem in stems:
        match = _CHANNEL_NAME.fullmatch(stem)
        if match:
            channels[match["case"]].add(int(match["channel"]))
        else:
            problems.append(
                f"{folder / (stem + file_ending)}: expected a name that ends in the channel, "
                f"{image_name(stem, 0, file_ending)}. Rename it."
            )
    for stem, names in sorted(wrong_endings.items()):
        problems.append(_ending_problem(folder, names, file_ending, stem in stems))
    for case in sorted(channels):
        problems += _channel_problems(folder, case, channels[case], file_ending, channel_count)
    problems += same_but_for_case(folder, channels)
    return Listing(tuple(sorted(channels)), tuple(problems))


def list_labels(folder: Path, file_ending: str) -> Listing:
    """Cases of a label folder (CASE.nii.gz)."""
    stems, wrong_endings = _stems(folder, file_ending)
    problems = [
        _ending_problem(folder, names, file_ending, stem in stems) for stem, names in sorted(wrong_endings.items())
    ]
    return Listing(tuple(sorted(stems)), (*problems, *same_but_for_case(folder, stems)))


def same_but_for_case(folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence for each two names that differ only in upper and lower case, one file on many systems."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[name.casefold()].append(name)
    return [
        f"{folder}: duplicate case, the names {' and '.join(sorted(group))} differ only in upper and lower case. "
        "Rename one."
        for group in alike.values()
        if len(group) > 1
    ]


def _stems(folder: Path, file_ending: str) -> tuple[set[str], dict[str, list[str]]]:
    """Names without the dataset's ending, and those of images that end in something else."""
    stems: set[str] = set()
    wrong_endings: dict[str, list[str]] = defaultdict(list)
    if not folder.is_dir():
        return stems, wrong_endings
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    for name in names:
        suffix = suffix_of(name)
        if name.endswith(file_ending):
            stems.add(name.removesuffix(file_ending))
        elif suffix is not None:
            wrong_endings[name[: -len(suffix)]].append(name)
    return stems, wrong_endings


def _ending_problem(folder: Path, names: list[str], file_ending: str, is_duplicate: bool) -> str:
    found = " and ".join(sorted(names))
    if is_duplicate:
        stem = names[0].removesuffix(suffix_of(names[0]) or "")
        return f"{folder}: duplicate case, {stem}{file_ending} is there as {found} too. Remove all but one."
    return (
        f"{folder / found}: expected the ending {file_ending} that dataset.json states. "
        "Convert it, or change file_ending."
    )


def _channel_problems(folder: Path, case: str, found: set[int], file_ending: str, channel_count: int) -> list[str]:
    expected = set(range(channel_count))
    problems = []
    for channel in sorted(expected - found):
        problems.append(
            f"{folder / image_name(case, channel, file_ending)}: missing channel of case {case}; "
            f"dataset.json names {channel_count}, found {_numbered(found)}. Add the file, or remove the case."
        )
    for channel in sorted(found - expected):
        problems.append(
            f"{folder / image_name(case, channel, file_ending)}: dataset.json names {channel_count} channel(s), "
            f"0000 to {channel_count - 1:04d}. Add its name to channel_names, or remove the file."
        )
    return problems


def _numbered(channels: set[int]) -> str:
    return ", ".join(f"{channel:04d}" for channel in sorted(channels))
