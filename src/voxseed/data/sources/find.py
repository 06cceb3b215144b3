"""Which kind of source a path is, and what it holds."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.sources.base import Found, Wanted, counted, is_dicom
from voxseed.data.sources.bids import find_bids, is_bids
from voxseed.data.sources.image_files import find_image_files
from voxseed.data.sources.msd import find_msd
from voxseed.data.sources.nnunet import find_nnunet
from voxseed.data.volumes import suffix_of
from voxseed.errors import InputError
from voxseed.files import read_json_object

_LABEL_FOLDERS = ("labelsTr", "labelsTs")


def find_cases(path: Path, wanted: Wanted) -> Found:
    """The cases of a file or folder.

    A dataset.json makes it an MSD folder (it lists its files) or an nnU-Net dataset, folders sub-*/anat make it BIDS;
    else image files below it are cases, or its DICOM files if there is no image file.

    Raises:
        InputError: if there is nothing, or what is there cannot be used.
    """
    if (path / FILE_NAME).is_file():
        content = read_json_object(path / FILE_NAME)
        is_msd = "training" in content and "channel_names" not in content
        return find_msd(path, wanted) if is_msd else find_nnunet(path, wanted)
    if path.is_dir() and is_bids(path):
        return find_bids(path, wanted)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Give images, a folder of them, or one of DICOM files.")
    files = sorted(files_below(path))
    _require_no_dataset_below(path, files)
    if not files:
        raise InputError(f"{path}: an empty folder. Give images, a folder of them, or one of DICOM files.")
    images = [file for file in files if suffix_of(file)]
    if images:
        dicom = sum(is_dicom(file) for file in files if not suffix_of(file))
        if dicom:
            raise InputError(
                f"{path}: both {counted(images, 'image file')} and {counted(dicom, 'DICOM file')}; expected one kind. "
                "Give their folders one at a time, each with an --out of its own."
            )
        return find_image_files(path, images, wanted)
    from voxseed.data.sources.dicom import find_dicom

    return find_dicom(path, files, wanted)


def _require_no_dataset_below(path: Path, files: Sequence[Path]) -> None:
    """Label maps of a dataset must not become images."""
    described = next((file for file in files if file.name == FILE_NAME), None)
    if described is not None:
        raise InputError(f"{path}: there is a dataset in it, {described.parent}. Give that folder.")
    label = next((file for file in files if file.parent.name in _LABEL_FOLDERS), None)
    if label is not None:
        raise InputError(
            f"{path}: {label.parent.name} holds label maps, but without {FILE_NAME} nothing says what they mean. "
            f"Write {path / FILE_NAME}, or give the folder of the images alone."
        )


def files_below(path: Path) -> Iterator[Path]:
    """A file itself, or all files in a folder and its folders, without hidden ones."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.startswith("."))
