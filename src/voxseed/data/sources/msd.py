"""Folders of the Medical Segmentation Decathlon, and of nnU-Net v1, whose dataset.json lists the files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxseed.data.case_files import image_name
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.labels import BACKGROUND_NAME, Labels, labels_from_json
from voxseed.data.nifti import SUFFIXES as NIFTI_SUFFIXES
from voxseed.data.nifti import read_nifti_grid
from voxseed.data.sources.base import Channel, Found, FoundCase, FrameOfFile, ImageFile, LabelFile, Wanted
from voxseed.data.sources.nnunet import channel_indices
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError
from voxseed.files import read_json_object

_EXPECTED = (
    '{"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "tumour"}, '
    '"training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}], "test": []}'
)


def find_msd(root: Path, wanted: Wanted) -> Found:
    """Cases that dataset.json lists; of a 4D image each volume is a channel.

    Raises:
        InputError: if dataset.json is wrong, or lacks a wanted channel.
    """
    content = read_json_object(root / FILE_NAME)
    modalities = content.get("modality")
    training, test = content.get("training"), content.get("test", [])
    if not isinstance(modalities, dict) or not isinstance(training, list) or not isinstance(test, list):
        raise InputError(
            f"{root / FILE_NAME}: its modality, training or test is missing or wrong. Expected as in {_EXPECTED}"
        )
    names = tuple(str(name) for _, name in sorted(modalities.items(), key=lambda item: int(item[0])))
    indices = channel_indices(root, names, wanted.channels)
    cases, problems = [], []
    for entry, is_test in [*((each, False) for each in training), *((each, True) for each in test)]:
        try:
            cases.append(_case(root, entry, len(names), indices, is_test))
        except InputError as error:
            problems.append(str(error))
    labels = _labels(content.get("labels"), root / FILE_NAME)
    return Found("MSD folder", tuple(cases), tuple(names[index] for index in indices), labels, tuple(problems))


def _case(root: Path, entry: Any, channel_count: int, indices: tuple[int, ...], is_test: bool) -> FoundCase:
    image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, Mapping) else (entry, None)
    if not isinstance(image, str):
        raise InputError(f"{root / FILE_NAME}: {entry!r} names no image. Expected as in {_EXPECTED}")
    path = _inside(root, image)
    ending = suffix_of(path) or ""
    name = path.name.removesuffix(ending)
    channels = _channels(path, name, ending, channel_count)
    return FoundCase(
        name,
        tuple(channels[index] for index in indices),
        LabelFile(_inside(root, label)) if isinstance(label, str) else None,
        is_test,
    )


def _channels(path: Path, name: str, ending: str, channel_count: int) -> tuple[Channel, ...]:
    numbered = tuple(path.with_name(image_name(name, index, ending)) for index in range(channel_count))
    if not path.is_file() and all(each.is_file() for each in numbered):  # nnU-Net v1
        return tuple(ImageFile(each) for each in numbered)
    if channel_count == 1:
        return (ImageFile(path),)
    if not path.is_file():
        raise InputError(f"{path}: no such file, but dataset.json lists it. Copy it, or take it off the list.")
    shape = read_nifti_grid(path)[0] if ending in NIFTI_SUFFIXES else ()
    if len(shape) != 4 or shape[3] != channel_count:
        raise InputError(
            f"{path}: expected a 4D NIfTI image of {channel_count} channels, as dataset.json names, "
            f"found shape {tuple(shape) or 'of another format'}. Correct modality in dataset.json, or the image."
        )
    return tuple(FrameOfFile(path, index) for index in range(channel_count))


def _inside(root: Path, name: str) -> Path:
    relative = os.path.normpath(name)
    if os.path.isabs(relative) or relative.startswith(".."):
        raise InputError(f"{root / FILE_NAME}: {name} lies outside the folder. Put it inside, and correct the list.")
    return root / relative


def _labels(table: Any, path: Path) -> Labels:
    """Value → name becomes name → value, and 0 is the background, whatever it is called."""
    if not isinstance(table, dict) or not all(str(value).isdigit() for value in table):
        raise InputError(f"{path}: labels are {table!r}. Expected as in {_EXPECTED}")
    names = {int(value): str(name) for value, name in table.items()}
    if len(set(names.values())) < len(names):
        raise InputError(f"{path}: two labels share a name in {table!r}. Give each its own.")
    names |= {0: BACKGROUND_NAME} if 0 in names else {}
    return labels_from_json({name: value for value, name in names.items()}, str(path))
