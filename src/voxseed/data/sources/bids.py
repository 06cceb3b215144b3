"""BIDS folders: sub-X/[ses-Y/]anat/sub-X_[ses-Y_]…_SUFFIX.nii.gz, where the suffix (T1w, FLAIR) is the channel."""

from collections import defaultdict
from pathlib import Path

from voxseed.data.nifti import SUFFIXES
from voxseed.data.sources.base import Found, FoundCase, ImageFile, Wanted
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError

_PATTERNS = ("sub-*/anat/*", "sub-*/ses-*/anat/*")


def is_bids(root: Path) -> bool:
    """Whether a folder has anatomical images of subjects where BIDS has them."""
    return any(next(root.glob(pattern), None) is not None for pattern in _PATTERNS)


def find_bids(root: Path, wanted: Wanted) -> Found:
    """One case per subject and session, with the suffixes as channels.

    Raises:
        InputError: if there is no image, or if cases have different suffixes and no channels are named.
    """
    cases: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(path for pattern in _PATTERNS for path in root.glob(pattern)):
        ending = suffix_of(path)
        if ending in SUFFIXES and wanted.admits(path.name):
            name = "_".join(part for part in path.relative_to(root).parts[:-2])
            cases[name][path.name[: -len(ending or "")].rpartition("_")[2]].append(path)
    if not cases:
        raise InputError(f"{root}: no NIfTI images in its anat folders, or --series admits none. Give another folder.")
    channels = wanted.channels or _common_channels(root, cases)
    found, problems = [], []
    for name, by_channel in cases.items():
        wrong = next((channel for channel in channels if len(by_channel.get(channel, ())) != 1), None)
        if wrong is None:
            found.append(FoundCase(name, tuple(ImageFile(by_channel[channel][0]) for channel in channels)))
        else:
            problems.append(_problem(root, name, wrong, by_channel))
    return Found("BIDS folder", tuple(found), channels, problems=tuple(problems))


def _common_channels(root: Path, cases: dict[str, dict[str, list[Path]]]) -> tuple[str, ...]:
    sets = {tuple(sorted(by_channel)): name for name, by_channel in cases.items()}
    if len(sets) > 1:
        listed = "; ".join(f"{name} has {', '.join(channels)}" for channels, name in sorted(sets.items()))
        raise InputError(f"{root}: not all cases have the same images: {listed}. Choose with --channels, such as T1w.")
    return next(iter(sets))


def _problem(root: Path, name: str, channel: str, by_channel: dict[str, list[Path]]) -> str:
    files = by_channel.get(channel, [])
    listed = ", ".join(sorted(path.name for path in files or (each for paths in by_channel.values() for each in paths)))
    remedy = "Choose one with --series REGEX, such as run-1" if files else "Choose other --channels, or remove the case"
    return f"{root}: case {name} has {len(files)} images {channel}, expected one; found {listed}. {remedy}."
