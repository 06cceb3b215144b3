"""Which prediction belongs to which label, and what the label values mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxseed.data.dataset_json import FILE_NAME, read_description
from voxseed.data.labels import Labels
from voxseed.data.volumes import SUFFIXES, suffix_of
from voxseed.errors import InputError

_LABEL_FOLDERS = ("labelsTr", "labelsTs")
_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class CasePair:
    """The two files of a case."""

    case: str
    prediction: Path
    label: Path


@dataclass(frozen=True)
class Pairing:
    """What there is to compare.

    Attributes:
        pairs: sorted by case.
        labels: names and values of the classes.
        dataset: the folder whose dataset.json named the labels.
        unlabelled: cases with a prediction and without a label; they cannot be evaluated.
        unpredicted: labelled cases of a whole dataset without a prediction; not asked for, so not evaluated.
    """

    pairs: tuple[CasePair, ...]
    labels: Labels
    dataset: Path
    unlabelled: tuple[str, ...]
    unpredicted: tuple[str, ...]


def pair_files(predictions: Path, labels: Path) -> Pairing:
    """Pair the files of two folders by case.

    Args:
        predictions: a folder of label maps, CASE.nii.gz or any other known ending.
        labels: a folder of label maps, of which each must have been predicted; or a dataset, whose labels are then
            restricted to the predicted cases. Label names are from dataset.json in `labels`, in the folder above it,
            or, as nnU-Net writes it, in `predictions`.

    Raises:
        InputError: if a folder is missing or empty, a case occurs twice, a label has no prediction, no prediction has
            a label, or there is no dataset.json.
    """
    whole_dataset = _is_dataset(labels)
    label_folders = (
        [labels / name for name in _LABEL_FOLDERS if (labels / name).is_dir()] if whole_dataset else [labels]
    )
    predicted = label_files([predictions])
    labelled = label_files(label_folders)
    dataset = _described_folder(predictions, labels)
    unpredicted = tuple(sorted(labelled.keys() - predicted.keys()))
    if unpredicted and not whole_dataset:
        raise InputError(
            f"{predictions}: {len(unpredicted)} of {len(labelled)} labelled cases have no prediction: "
            f"{_listed(unpredicted)}. Predict them, or give the dataset's folder to evaluate the predicted cases alone."
        )
    pairs = tuple(
        CasePair(case, predicted[case], labelled[case]) for case in sorted(predicted.keys() & labelled.keys())
    )
    if not pairs:
        raise InputError(
            f"{labels}: no label for any of the {len(predicted)} predictions in {predictions}, such as "
            f"{_listed(sorted(predicted), 1)}; a label has the name of its prediction."
        )
    unlabelled = tuple(sorted(predicted.keys() - labelled.keys()))
    return Pairing(pairs, read_description(dataset).labels, dataset, unlabelled, unpredicted)


def label_files(folders: Sequence[Path]) -> dict[str, Path]:
    """Case → file of the label maps in some folders.

    Raises:
        InputError: if a folder is missing, a case occurs twice, or there is no label map.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{folder}: expected a folder of label maps, found {'a file' if folder.exists() else 'none'}."
            )
        for path in sorted(folder.iterdir()):
            suffix = suffix_of(path)
            if suffix is None or path.name.startswith("."):
                continue
            case = path.name[: -len(suffix)]
            if case in found:
                raise InputError(f"{path}: duplicate case, it is also {found[case]}. Keep one of the two.")
            found[case] = path
    if not found:
        raise InputError(
            f"{' and '.join(map(str, folders))}: no label maps; expected files such as CASE.nii.gz "
            f"(known endings: {', '.join(SUFFIXES)})."
        )
    return found


def _is_dataset(folder: Path) -> bool:
    return (folder / FILE_NAME).is_file() and any((folder / name).is_dir() for name in _LABEL_FOLDERS)


def _described_folder(predictions: Path, labels: Path) -> Path:
    """The first folder with a dataset.json; a relative path such as `.` has its parent only once resolved."""
    candidates = (labels, labels.resolve().parent, predictions)
    for folder in candidates:
        if (folder / FILE_NAME).is_file():
            return folder
    raise InputError(
        f"{labels}: no {FILE_NAME} there, in the folder above or in {predictions}, so the label values have no names. "
        "Give labels inside a dataset, or put its dataset.json beside them."
    )


def _listed(names: Sequence[str], limit: int = _NAMED_IN_ERRORS) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
