"""What can be predicted: image files, folders of them, DICOM series, and datasets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from voxseed.data.case_files import image_name
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.datasets import Dataset
from voxseed.data.sources.base import Channel, ImageFile, Wanted, is_dicom
from voxseed.data.sources.command import import_command
from voxseed.data.sources.find import files_below
from voxseed.data.volumes import SUFFIXES, suffix_of
from voxseed.errors import InputError
from voxseed.workflows.import_plan import safe_name, series_pattern

if TYPE_CHECKING:
    from voxseed.data.sources.dicom_series import DicomSeries

_DICOM_ENDING = ".nii.gz"
_FIRST_CHANNEL = "_0000"


@dataclass(frozen=True)
class PredictionInput:
    """A case to predict.

    Attributes:
        case: its name.
        channels: one volume each, wherever it is.
        ending: of its files, and of the label map that is written unless another format is asked for.
        series: the first channel, if it is a DICOM series.
    """

    case: str
    channels: tuple[Channel, ...]
    ending: str
    series: "DicomSeries | None" = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """File or folder of each channel, for messages."""
        return tuple(channel.path for channel in self.channels)

    def files(self) -> list[Path]:
        """All files of the channels."""
        return [path for channel in self.channels for path in channel.files()]


def find_inputs(
    paths: Sequence[Path],
    channel_names: Sequence[str],
    class_names: Sequence[str] = (),
    series: str | None = None,
) -> list[PredictionInput]:
    """The cases that are meant by files and folders.

    A dataset means the cases of its imagesTs, or of imagesTr if there is no imagesTs. Other folders mean all images in
    them, named CASE_0000.nii.gz, CASE_0001.nii.gz and so on by channel; with one channel the number may be left out
    everywhere. Without images, they mean the DICOM studies below them, named and chosen as for an import. A file means
    its case.

    Args:
        paths: files and folders.
        channel_names: of the model.
        class_names: of the model, for the command that imports what is no input yet.
        series: regular expression that a DICOM series description must match, in any case.

    Raises:
        InputError: if there is nothing at a path, a channel is missing, a DICOM series cannot be used, or a case occurs
            twice.
    """
    if not paths:
        raise InputError("There is nothing to predict. Give an image, a folder of images, a DICOM series or a dataset.")
    model = _Model(tuple(channel_names), tuple(class_names), series_pattern(series))
    by_name: dict[str, PredictionInput] = {}
    for each in (each for path in paths for each in _inputs_at(path, model)):
        other = by_name.setdefault(each.case.casefold(), each)
        if other.paths != each.paths:
            raise InputError(
                f"{each.paths[0]}: duplicate case {each.case}, {other.paths[0]} has the same name. "
                "Rename one, or predict into two folders."
            )
    return list(by_name.values())


def files_status(paths: Sequence[Path]) -> dict[str, int]:
    """Size and time of a case's files, by which a prediction knows whether its images have changed since."""
    status = [path.stat() for path in paths]
    return {
        "input_bytes": sum(each.st_size for each in status),
        "input_changed_ns": max(each.st_mtime_ns for each in status),
    }


@dataclass(frozen=True)
class _Model:
    """What inputs must fit."""

    channels: tuple[str, ...]
    classes: tuple[str, ...]
    series: re.Pattern[str] | None


def _inputs_at(path: Path, model: _Model) -> list[PredictionInput]:
    if (path / FILE_NAME).is_file():
        dataset = Dataset.open(path)
        cases = dataset.test_cases or dataset.cases
        return [_of_files(case, dataset.image_paths(case), dataset.file_ending) for case in cases]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if suffix_of(file) and not file.name.startswith("."))
        if files:
            return _cases_of(files, model)
        _require_no_images_below(path, model)
        return _dicom_cases(path, sorted(files_below(path)), model) or _refuse(
            f"{path}: no images in this folder; expected files ending in {', '.join(SUFFIXES)}, or a DICOM series."
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder. Give an image, a folder of images, or a dataset.")
    if suffix_of(path) is None:
        return _dicom_cases(path, [path], model) or _refuse(
            f"{path}: unknown kind of file; expected a name ending in {', '.join(SUFFIXES)}, or DICOM."
        )
    return _cases_of([path], model)


def _refuse(message: str) -> NoReturn:
    raise InputError(message)


def _of_files(case: str, paths: Sequence[Path], ending: str) -> PredictionInput:
    return PredictionInput(case, tuple(ImageFile(path) for path in paths), ending)


def _dicom_cases(path: Path, files: Sequence[Path], model: _Model) -> list[PredictionInput]:
    """The studies at a path; none if no file is DICOM.

    Raises:
        InputError: if a study cannot be used.
    """
    if not any(is_dicom(file) for file in files):
        return []
    from voxseed.data.sources.dicom import find_dicom
    from voxseed.data.sources.dicom_series import DicomSeries

    found = find_dicom(path, files, Wanted(model.channels, model.series))
    if found.problems:
        raise InputError("\n".join(found.problems))
    cases = []
    for case in found.cases:
        for channel in case.channels:
            channel.read_grid()  # an irregular series is refused before anything is predicted
        first = case.channels[0]
        series = first if isinstance(first, DicomSeries) else None
        cases.append(PredictionInput(safe_name(case), case.channels, _DICOM_ENDING, series))
    return cases


def _require_no_images_below(path: Path, model: _Model) -> None:
    """Below a folder that holds no image itself.

    Raises:
        InputError: if there are images; gives the command that makes a dataset of them.
    """
    found = next((file for file in files_below(path) if suffix_of(file)), None)
    if found is not None:
        raise InputError(
            f"{path}: images in folders, such as {found.name}; expected images, or a dataset. Make one with "
            f"{import_command(path, model.classes, model.channels)} and predict that."
        )


def _cases_of(files: Sequence[Path], model: _Model) -> list[PredictionInput]:
    channel_count = len(model.channels)
    if channel_count == 1:
        numbered = all(_stem(file).endswith(_FIRST_CHANNEL) for file in files)
        suffix = _FIRST_CHANNEL if numbered else ""
        return [_of_files(_stem(file).removesuffix(suffix), (file,), _ending(file)) for file in files]
    unnumbered = next((file for file in files if not re.fullmatch(r".+_\d{4}", _stem(file))), None)
    if unnumbered:
        ending = _ending(unnumbered)
        raise InputError(
            f"{unnumbered}: the model has {channel_count} channels; expected one file for each, named "
            f"{image_name('CASE', 0, ending)} to {image_name('CASE', channel_count - 1, ending)}. "
            f"Rename them, or make a dataset with {import_command(unnumbered.parent, model.classes, model.channels)} "
            "and predict that."
        )
    cases = sorted({(file.parent, _stem(file)[: -len(_FIRST_CHANNEL)], _ending(file)) for file in files})
    return [
        _of_files(case, _channel_paths(folder, case, ending, channel_count), ending) for folder, case, ending in cases
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
