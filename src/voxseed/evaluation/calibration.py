"""Calibration: whether of the voxels that a network calls 70 % probable, 70 % are of the class."""

import csv
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from voxseed.errors import InputError
from voxseed.evaluation.compare import read_pair
from voxseed.evaluation.pairing import CasePair, Pairing
from voxseed.files import write_text
from voxseed.parallel import map_in_threads
from voxseed.types import BACKGROUND, LabelArray, Spacing

PROBABILITIES_FOLDER: Final = "probabilities"
"""Beside label maps: probability maps CASE.nii.gz, 4D, background first."""
BINS: Final = 10
MARGIN_MM: Final = 10.0
"""Around the labelled objects; voxels further away are not counted, because every network is right about them."""

_COLUMNS: Final = ("class", "cases", "bin", "voxels", "mean_probability", "share")
_MOST_DIFFERENT: Final = 0.01

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Calibration:
    """Reliability of one class over all cases.

    Attributes:
        class_name: of the dataset.
        cases: how many were counted.
        voxels: (BINS,), voxels whose predicted probability lies in each of equal parts of [0, 1].
        mean_probability: (BINS,), mean of these probabilities; NaN in an empty bin.
        share: (BINS,), share of these voxels that are of the class; NaN in an empty bin.
    """

    class_name: str
    cases: int
    voxels: tuple[int, ...]
    mean_probability: tuple[float, ...]
    share: tuple[float, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over voxels of |share - mean probability| of their bin, in [0, 1]."""
        counts = np.array(self.voxels)
        gaps = np.abs(np.array(self.share) - np.array(self.mean_probability))
        return float(np.sum(counts * np.where(counts > 0, gaps, 0)) / counts.sum())


def calibration_path(metrics_path: Path) -> Path:
    """metrics-calibration.csv of a metrics.csv."""
    return metrics_path.with_name(f"{metrics_path.stem}-calibration.csv")


def measure_calibration(pairing: Pairing, folder: Path) -> list[Calibration]:
    """Reliability of every class, over the cases that have probabilities and a labelled object.

    Counted are the voxels in the box around all labelled objects of a case, 10 mm larger on every side: the same for
    every method.

    Args:
        pairing: predictions and labels.
        folder: of probability maps CASE.nii.gz, 4D, background first.

    Returns:
        One per foreground class; none if no case can be counted.

    Raises:
        InputError: if a map cannot be read, or does not fit its prediction.
    """
    pairs = [pair for pair in pairing.pairs if _map_path(folder, pair).is_file()]
    counted = map_in_threads(lambda pair: _case_sums(pair, pairing, folder), pairs, "Measuring calibration")
    sums = [each for each in counted if each is not None]
    if not sums:
        return []
    totals = np.sum(sums, axis=0)
    return [
        _calibration(name, len(sums), *total) for name, total in zip(pairing.labels.foreground, totals, strict=True)
    ]


def reliability_sums(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What reliability is made of, per bin: (3, BINS) voxels, sum of probabilities, voxels of the class.

    Args:
        probability: of a class, in [0, 1], any shape; 1 belongs to the last bin.
        truth: which voxels are of the class, of the same shape.
    """
    values = probability.ravel().astype(np.float64)
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    summed = (np.ones_like(values), values, truth.ravel())
    return np.stack([np.bincount(bins, weights=weights, minlength=BINS) for weights in summed])


def write_calibration(path: Path, calibrations: Sequence[Calibration]) -> None:
    """Write a line per class and bin, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in calibrations:
        rows = zip(each.voxels, each.mean_probability, each.share, strict=True)
        for number, (voxels, mean, share) in enumerate(rows):
            values = ("" if np.isnan(value) else f"{value:.6g}" for value in (mean, share))
            writer.writerow((each.class_name, each.cases, number, voxels, *values))
    write_text(path, text.getvalue())


def read_calibration(path: Path) -> list[Calibration]:
    """Read what `write_calibration` wrote; nothing if there is no file.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = dict.fromkeys(row["class"] for row in rows)
        return [_parsed([row for row in rows if row["class"] == name]) for name in names]
    except (KeyError, ValueError, TypeError, UnicodeDecodeError):
        raise InputError(f"{path}: damaged. Write it again with voxseed evaluate.") from None


def _parsed(rows: list[dict[str, str]]) -> Calibration:
    if len(rows) != BINS:
        raise ValueError(f"expected {BINS} bins")
    means, shares = (
        tuple(float(row[column]) if row[column] else float("nan") for row in rows)
        for column in ("mean_probability", "share")
    )
    return Calibration(
        rows[0]["class"], int(rows[0]["cases"]), tuple(int(row["voxels"]) for row in rows), means, shares
    )


def _calibration(
    name: str, cases: int, voxels: NDArray[np.float64], sums: NDArray[np.float64], hits: NDArray[np.float64]
) -> Calibration:
    with np.errstate(invalid="ignore"):
        means, shares = sums / voxels, hits / voxels
    return Calibration(name, cases, tuple(map(int, voxels)), tuple(means.tolist()), tuple(shares.tolist()))


def _case_sums(pair: CasePair, pairing: Pairing, folder: Path) -> NDArray[np.float64] | None:
    """(C - 1, 3, BINS); None of a case without a labelled object."""
    prediction, label = read_pair(pair, pairing.labels)
    if not (label.array != BACKGROUND).any():
        return None
    region = _region(label.array, label.spacing_mm)
    path = _map_path(folder, pair)
    probabilities = _read_map(path, (*label.shape, pairing.labels.class_count))[region]
    different = np.mean(probabilities.argmax(axis=-1) != prediction.array[region])
    if different > _MOST_DIFFERENT:
        raise InputError(
            f"{path}: not the probabilities of {pair.prediction}, {different:.0%} of the voxels around the objects "
            "have another most probable class. Predict again with --probabilities, or remove the folder."
        )
    truth = label.array[region]
    return np.stack(
        [reliability_sums(probabilities[..., index], truth == index) for index in range(1, probabilities.shape[-1])]
    )


def _region(label: LabelArray, spacing_mm: Spacing) -> Box:
    """The box around everything that is not background, with a margin, as far as the volume reaches."""
    voxels = np.argwhere(label != BACKGROUND)
    margin = np.ceil(MARGIN_MM / np.array(spacing_mm)).astype(int)
    start, stop = np.maximum(voxels.min(axis=0) - margin, 0), voxels.max(axis=0) + margin + 1
    i, j, k = (slice(int(low), int(high)) for low, high in zip(start, stop, strict=True))
    return i, j, k


def _map_path(folder: Path, pair: CasePair) -> Path:
    return folder / f"{pair.case}.nii.gz"


def _read_map(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        array = np.asarray(nib.load(path).dataobj, dtype=np.float32)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}). Predict again with --probabilities.") from None
    if array.shape != shape:
        raise InputError(f"{path}: its shape is {array.shape}, expected {shape}. Predict again with --probabilities.")
    return array
