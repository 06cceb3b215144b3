"""Folders of NIfTI, NRRD and MetaImage files: one file per case, or one per case and channel."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from voxseed.data.sources.base import Found, FoundCase, ImageFile, LeftOut, Wanted, channel_in, without_channel
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError

_NUMBERED = re.compile(r"(?P<stem>.+)_(?P<channel>\d{4})")
_DEFAULT_CHANNEL = "image"

Key = tuple[tuple[str, ...], str]
"""Folders below the source, and the file's name without channel and suffix."""


def find_image_files(root: Path, files: Sequence[Path], wanted: Wanted) -> Found:
    """Cases of the image files below a folder.

    With one channel every file is a case. With several, a file's channel is its nnU-Net number (_0001), else the
    channel's name in the file name, else in the name of a folder above it. Other files are left out and named.

    Args:
        root: the folder, or the file itself.
        files: with known suffixes.
        wanted: channels; one called `image` if not given.

    Raises:
        InputError: if files are numbered by channel and no channels are named.
    """
    if len(wanted.channels) > 1:
        return _several_channels(root, files, wanted.channels)
    numbers = {int(match["channel"]) for file in files if (match := _NUMBERED.fullmatch(_stem(file)))}
    is_numbered = all(_NUMBERED.fullmatch(_stem(file)) for file in files)
    if is_numbered and len(numbers) > 1:
        raise InputError(
            f"{root}: the file names end in the channels {', '.join(f'{number:04d}' for number in sorted(numbers))}, "
            f"but {len(wanted.channels)} channels are named. Name them in this order: --channels FLAIR,T1."
        )
    names = [_stem(file).removesuffix("_0000") if is_numbered else _stem(file) for file in files]
    keys = [(_folders(root, file), name) for file, name in zip(files, names, strict=True)]
    cases = tuple(
        FoundCase(name, (ImageFile(file),)) for name, file in zip(_case_names(keys, root), files, strict=True)
    )
    return Found("image files", cases, wanted.channels or (_DEFAULT_CHANNEL,))


def _several_channels(root: Path, files: Sequence[Path], channels: tuple[str, ...]) -> Found:
    groups: dict[Key, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    without_channel_name = []
    for file in files:
        place = _channel_and_key(root, file, channels)
        if place is None:
            without_channel_name.append(file)
        else:
            groups[place[1]][place[0]].append(file)
    cases, problems = [], []
    for name, group in zip(_case_names(list(groups), root), groups.values(), strict=True):
        problem = _channel_problem(root, name, group, channels)
        if problem:
            problems.append(problem)
        else:
            cases.append(FoundCase(name, tuple(ImageFile(group[channel][0]) for channel in channels)))
    left_out = LeftOut.below(root, without_channel_name, "image file", "naming none of the channels")
    return Found("image files", tuple(cases), channels, problems=tuple(problems), left_out=left_out)


def _channel_and_key(root: Path, file: Path, channels: tuple[str, ...]) -> tuple[str, Key] | None:
    folders, stem = _folders(root, file), _stem(file)
    match = _NUMBERED.fullmatch(stem)
    if match and int(match["channel"]) < len(channels):
        return channels[int(match["channel"])], (folders, match["stem"])
    channel = channel_in(stem, channels)
    if channel:
        return channel, (folders, without_channel(stem, channel))
    for index in reversed(range(len(folders))):
        channel = channel_in(folders[index], channels)
        if channel:
            rest = without_channel(folders[index], channel)
            return channel, ((*folders[:index], *([rest] if rest else []), *folders[index + 1 :]), stem)
    return None


def _channel_problem(root: Path, name: str, group: dict[str, list[Path]], channels: tuple[str, ...]) -> str | None:
    for channel in channels:
        files = group.get(channel, [])
        if len(files) != 1:
            found = ", ".join(sorted(file.name for paths in group.values() for file in paths))
            return (
                f"{root}: case {name} has {len(files)} files of channel {channel}, expected one; found {found}. "
                f"{'Keep one of them' if files else 'Add it, or remove the case'}."
            )
    return None


def _case_names(keys: Sequence[Key], root: Path) -> list[str]:
    """File names, or the folders' where the file says no more than its channel; both where that is not unique."""
    short = [stem or "_".join(folders) or root.name for folders, stem in keys]
    counts = Counter(name.casefold() for name in short)
    return [
        name if counts[name.casefold()] == 1 else "_".join((*folders, *([stem] if stem else [])))
        for name, (folders, stem) in zip(short, keys, strict=True)
    ]


def _folders(root: Path, file: Path) -> tuple[str, ...]:
    return () if file == root else file.relative_to(root).parts[:-1]


def _stem(path: Path) -> str:
    return path.name[: -len(suffix_of(path) or "")]
