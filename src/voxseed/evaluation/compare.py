"""Comparing a folder of predictions with labels: one row per case and class."""

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume, read_label, same_grid
from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.pairing import CasePair, Pairing, pair_files
from voxseed.metrics.pair import pair_metrics
from voxseed.parallel import map_in_threads
from voxseed.types import IGNORE, LabelArray

DEFAULT_TOLERANCE_MM: Final = 2.0


def evaluate_folder(
    predictions: Path, labels: Path, *, tolerance_mm: float = DEFAULT_TOLERANCE_MM
) -> list[CaseMetrics]:
    """Compare every prediction with its label, on the label's own grid.

    Args:
        predictions: folder of label maps.
        labels: folder of label maps, or a dataset; see `pair_files`.
        tolerance_mm: of the NSD.

    Returns:
        One row per case and foreground class, sorted by case.

    Raises:
        InputError: as `pair_files` and `evaluate_pairs`.
    """
    return evaluate_pairs(pair_files(predictions, labels), tolerance_mm=tolerance_mm)


def evaluate_pairs(pairing: Pairing, *, tolerance_mm: float = DEFAULT_TOLERANCE_MM) -> list[CaseMetrics]:
    """Compare pairs of files, on all cores.

    Raises:
        InputError: if the tolerance is not positive; if a file cannot be read, the two of a case differ in shape or
            position, or one has values that the labels table does not name, or unannotated voxels.
    """
    if not 0 < tolerance_mm < np.inf:
        raise InputError(f"--tolerance-mm {tolerance_mm:g}: expected a positive length in mm, for example 2.")
    measure = partial(_case_rows, labels=pairing.labels, tolerance_mm=tolerance_mm)
    rows = map_in_threads(measure, pairing.pairs, "Evaluating")
    return [row for case_rows in rows for row in case_rows]


def read_pair(pair: CasePair, labels: Labels) -> tuple[Volume, Volume]:
    """Prediction and label of a case as class indices.

    Raises:
        InputError: as `evaluate_pairs`.
    """
    prediction, label = read_label(pair.prediction), read_label(pair.label)
    if prediction.shape != label.shape:
        raise InputError(
            f"{pair.prediction}: its shape is {prediction.shape}, expected {label.shape} as {pair.label} has. "
            "A prediction is evaluated on the grid of its label."
        )
    if not same_grid(prediction, label):
        raise InputError(
            f"{pair.prediction}: its affine differs from that of {pair.label}, so the voxels lie elsewhere. "
            "Predict on the label's grid, or copy the affine if only the header is wrong."
        )
    return (
        Volume(_dense_classes(prediction.array, labels, pair.prediction), prediction.affine),
        Volume(_dense_classes(label.array, labels, pair.label), label.affine),
    )


def _case_rows(pair: CasePair, labels: Labels, tolerance_mm: float) -> list[CaseMetrics]:
    prediction, label = read_pair(pair, labels)
    return [
        CaseMetrics(
            case=pair.case,
            class_name=name,
            **vars(pair_metrics(prediction.array == index, label.array == index, label.spacing_mm, tolerance_mm)),
        )
        for index, name in enumerate(labels.foreground, start=1)
    ]


def _dense_classes(array: LabelArray, labels: Labels, path: Path) -> LabelArray:
    classes = labels.to_class_indices(array, str(path))
    unannotated = int(np.count_nonzero(classes == IGNORE))
    if unannotated:
        raise InputError(
            f"{path}: {unannotated} voxels are unannotated (value {labels.ignore_value}), expected a dense label map. "
            "Surfaces are unknown where nobody annotated."
        )
    return classes
