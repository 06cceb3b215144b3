"""dataset.json: what nnU-Net v2 says about a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxseed.data.labels import Labels, labels_from_json
from voxseed.data.sources.command import import_command
from voxseed.data.volumes import SUFFIXES
from voxseed.errors import InputError
from voxseed.files import read_json

FILE_NAME = "dataset.json"
MINIMAL = (
    '{"channel_names": {"0": "MRI"}, "labels": {"background": 0, "tumour": 1}, '
    '"numTraining": 1, "file_ending": ".nii.gz"}'
)


@dataclass(frozen=True)
class Description:
    """The parts of dataset.json that Voxseed honours."""

    name: str
    channel_names: tuple[str, ...]
    labels: Labels
    file_ending: str

    def to_json(self, training_count: int) -> dict[str, Any]:
        """Plain values that nnU-Net reads too."""
        return {
            "name": self.name,
            "channel_names": {str(index): name for index, name in enumerate(self.channel_names)},
            "labels": dict(self.labels),
            "numTraining": training_count,
            "file_ending": self.file_ending,
        }


def read_description(root: Path) -> Description:
    """Read a dataset's dataset.json.

    Raises:
        InputError: if the folder or the file is missing, or a part of it is missing or wrong; says what to write.
    """
    if root.is_file():
        raise InputError(
            f"{root}: a file, expected the folder of a dataset. To make a dataset of it, run {import_command(root)} "
            "(with your classes)."
        )
    if not root.is_dir():
        raise InputError(f"{root}: no such dataset folder.")
    path = root / FILE_NAME
    if not path.is_file():
        raise InputError(
            f"{root}: a folder without {FILE_NAME}. To make a dataset of it, run {import_command(root)} "
            "(with your classes), or name the images imagesTr/CASE_0000.nii.gz (further channels CASE_0001.nii.gz) "
            f"and write {FILE_NAME} with this, adapted: {MINIMAL}"
        )
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object such as {MINIMAL}, found {type(content).__name__}.")
    for key in ("channel_names", "labels", "file_ending"):
        if key not in content:
            raise InputError(f"{path}: {key!r} is missing. Expected as in {MINIMAL}")
    return Description(
        name=str(content.get("name", root.name)),
        channel_names=_channel_names(content["channel_names"], path),
        labels=labels_from_json(content["labels"], str(path)),
        file_ending=_file_ending(content["file_ending"], path),
    )


def _channel_names(value: Any, path: Path) -> tuple[str, ...]:
    expected = [str(index) for index in range(len(value))] if isinstance(value, dict) else []
    if not expected or sorted(value, key=str) != sorted(expected):
        raise InputError(f'{path}: expected channel_names such as {{"0": "T1", "1": "T2"}}, found {value!r}.')
    return tuple(str(value[index]) for index in expected)


def _file_ending(value: Any, path: Path) -> str:
    if value not in SUFFIXES:
        raise InputError(f"{path}: file_ending is {value!r}, expected one of {', '.join(SUFFIXES)}.")
    return str(value)
