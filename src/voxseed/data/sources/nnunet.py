"""Datasets in the nnU-Net v2 raw layout."""

from pathlib import Path

from voxseed.data.datasets import Dataset
from voxseed.data.sources.base import Found, FoundCase, ImageFile, LabelFile, Wanted
from voxseed.errors import InputError

_LEFT_OUT = ("annotations", "splits.json", "splits_final.json")


def find_nnunet(root: Path, wanted: Wanted) -> Found:
    """Cases of imagesTr and imagesTs with their labels.

    Raises:
        InputError: as `Dataset.open`, and if the dataset lacks a wanted channel.
    """
    dataset = Dataset.open(root)
    indices = channel_indices(root, dataset.channel_names, wanted.channels)
    cases = tuple(
        FoundCase(
            case,
            tuple(ImageFile(dataset.image_paths(case)[index]) for index in indices),
            LabelFile(dataset.label_path(case)) if dataset.has_label(case) else None,
            is_test=case in dataset.test_cases,
        )
        for case in (*dataset.cases, *dataset.test_cases)
    )
    names = tuple(dataset.channel_names[index] for index in indices)
    has_more = any((root / name).exists() for name in _LEFT_OUT)
    notes = ("Annotation sets and splits are left out; copy them if need be.",) if has_more else ()
    return Found("nnU-Net dataset", cases, names, dataset.labels, notes=notes)


def channel_indices(root: Path, available: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, ...]:
    """Places of the wanted channels among the available ones; all if none is named.

    Raises:
        InputError: if one is not there.
    """
    missing = [name for name in wanted if name not in available]
    if missing:
        raise InputError(
            f"--channels {','.join(wanted)}: {root} has no channel {missing[0]}; its dataset.json names "
            f"{', '.join(available)}. Choose among these, or leave --channels out."
        )
    return tuple(available.index(name) for name in wanted or available)
