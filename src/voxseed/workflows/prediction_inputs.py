"""What can be predicted: image files, folders of them, and datasets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.case_files import image_name
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.datasets import Dataset
from voxseed.data.sources.base import is_dicom
from voxseed.data.sources.command import import_command
from voxseed.data.sources.find import files_below
from voxseed.data.volumes import SUFFIXES, suffix_of
from voxseed.errors import InputError

_FIRST_CHANNEL = "_0000"


@dataclass(frozen=True)
class PredictionInput:
    """A case to predict.

    Attributes:
        case: its name.
        paths: one file per channel.
        ending: of its files, and of the label map that is written.
    """

    case: str
    paths: tuple[Path, ...]
    ending: str


def find_inputs(
    paths: Sequence[Path], channel_names: Sequence[str], class_names: Sequence[str] = ()
) -> list[PredictionInput]:
    """The cases that are meant by files and folders.

    A dataset means the cases of its imagesTs, or of imagesTr if there is no imagesTs. Other folders mean all images in
    them, named CASE_0000.nii.gz, CASE_0001.nii.gz and so on by channel; with one channel the number may be left out
    everywhere. A file means its case.

    Args:
        paths: files and folders.
        channel_names: of the model.
        class_names: of the model, for the command that imports what is no input yet.

    Raises:
        InputError: if there is nothing at a path, a channel is missing, or a case occurs twice.
    """
    if not paths:
        raise InputError("There is nothing to predict. Give an image, a folder of images, or a dataset.")
    by_name: dict[str, PredictionInput] = {}
    for each in (each for path in paths for each in _inputs_at(path, channel_names, class_names)):
        other = by_name.setdefault(each.case.casefold(), each)
        if other != each:
            raise InputError(
                f"{each.paths[0]}: duplicate case {each.case}, {other.paths[0]} has the same name. "
                "Rename one, or predict into two folders."
            )
    return list(by_name.values())


def _inputs_at(path: Path, channel_names: Sequence[str], class_names: Sequence[str]) -> list[PredictionInput]:
    if (path / FILE_NAME).is_file():
        dataset = Dataset.open(path)
        cases = dataset.test_cases or dataset.cases
        return [PredictionInput(case, dataset.image_paths(case), dataset.file_ending) for case in cases]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if suffix_of(file) and not file.name.startswith("."))
        if not files:
            _require_nothing_to_import(path, channel_names, class_names)
            raise InputError(f"{path}: no images in this folder; expected files ending in {', '.join(SUFFIXES)}.")
        return _cases_of(files, channel_names, class_names)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder. Give an image, a folder of images, or a dataset.")
    if suffix_of(path) is None:
        _require_nothing_to_import(path, channel_names, class_names)
        raise InputError(f"{path}: unknown kind of file; expected a name ending in {', '.join(SUFFIXES)}.")
    return _cases_of([path], channel_names, class_names)


def _require_nothing_to_import(path: Path, channel_names: Sequence[str], class_names: Sequence[str]) -> None:
    """Below a folder, or in a file, that is no input itself.

    Raises:
        InputError: if there are images or DICOM files; gives the command that makes a dataset of them.
    """
    found = next((file for file in files_below(path) if suffix_of(file) or is_dicom(file)), None)
    if found is not None:
        kind = "images in folders" if suffix_of(found) else "DICOM files"
        raise InputError(
            f"{path}: {kind}, such as {found.name}; expected images, or a dataset. Make one with "
            f"{import_command(path, class_names, channel_names)} and predict that."
        )


def _cases_of(files: Sequence[Path], channel_names: Sequence[str], class_names: Sequence[str]) -> list[PredictionInput]:
    channel_count = len(channel_names)
    if channel_count == 1:
        numbered = all(_stem(file).endswith(_FIRST_CHANNEL) for file in files)
        suffix = _FIRST_CHANNEL if numbered else ""
        return [PredictionInput(_stem(file).removesuffix(suffix), (file,), _ending(file)) for file in files]
    unnumbered = next((file for file in files if not re.fullmatch(r".+_\d{4}", _stem(file))), None)
    if unnumbered:
        ending = _ending(unnumbered)
        raise InputError(
            f"{unnumbered}: the model has {channel_count} channels; expected one file for each, named "
            f"{image_name('CASE', 0, ending)} to {image_name('CASE', channel_count - 1, ending)}. "
            f"Rename them, or make a dataset with {import_command(unnumbered.parent, class_names, channel_names)} and "
            "predict that."
        )
    cases = sorted({(file.parent, _stem(file)[: -len(_FIRST_CHANNEL)], _ending(file)) for file in files})
    return [
        PredictionInput(case, _channel_paths(folder, case, ending, channel_count), ending)
        for folder, case, ending in cases
    ]


def _channel_paths(folder: Path, case: str, ending: str, channel_count: int) -> tuple[Path, ...]:
    paths = tuple(folder / image_name(case, channel, ending) for channel in range(channel_count))
    missing = next((path for path in paths if not path.is_file()), None)
    if missing:
        raise InputError(
            f"{missing}: no such file, but the model has {channel_count} channels. Add it, or remove the case."
        )
    return paths


def _ending(path: Path) -> str:
    return path.name[-len(suffix_of(path) or "") :]


def _stem(path: Path) -> str:
    return path.name.removesuffix(_ending(path))
