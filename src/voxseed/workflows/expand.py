"""Expand: annotations into supervision, written as a complete nnU-Net dataset with an `ignore` label."""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.datasets import Dataset
from voxseed.data.labels import BACKGROUND_NAME
from voxseed.data.splits import FILE_NAME as SPLITS_NAME
from voxseed.data.splits import Fold, Splits
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.evaluation.calibration import PROBABILITIES_FOLDER
from voxseed.files import write_json, write_text
from voxseed.parallel import map_in_threads
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.supervision.quality import ClassQuality, annotated_share, precision_and_recall
from voxseed.types import FloatArray
from voxseed.workflows.annotated_cases import annotated_cases, require_every_class
from voxseed.workflows.new_folder import new_folder

CSV_NAME = "expansion.csv"
_COLUMNS = ("case", "class", "precision", "recall", "labelled_voxels", "true_voxels", "annotated_share", "dice")


@dataclass(frozen=True)
class CaseExpansion:
    """What became of one case.

    Attributes:
        case: its name.
        annotated_share: of its voxels.
        qualities: one per class, background first; empty without a dense label.
    """

    case: str
    annotated_share: float
    qualities: tuple[ClassQuality, ...]


@dataclass(frozen=True)
class ExpansionSummary:
    """What an expansion made.

    Attributes:
        path: the new dataset.
        class_names: background first.
        cases: one per annotated case.
        kind: of supervision; where every voxel has a class, Dice is shown too.
    """

    path: Path
    class_names: tuple[str, ...]
    cases: tuple[CaseExpansion, ...]
    kind: SupervisionKind = SupervisionKind.PARTIAL

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        dice = ("Dice", "cases") if self.kind is SupervisionKind.PROBABILITY else ()
        return ("class", "precision", "cases", "recall", "cases", *dice)

    def rows(self) -> list[tuple[str | int, ...]]:
        """Means over the cases with a dense label, one row per class, and over how many cases each was taken."""
        return [self._row(index, name) for index, name in enumerate(self.class_names)]

    @property
    def mean_annotated_share(self) -> float:
        """Share of the voxels that are labelled, mean over cases."""
        return float(np.mean([case.annotated_share for case in self.cases]))

    def _row(self, index: int, name: str) -> tuple[str | int, ...]:
        qualities = [case.qualities[index] for case in self.cases if case.qualities]
        precisions = [quality.precision for quality in qualities if quality.labelled_voxels]
        recalls = [quality.recall for quality in qualities if quality.true_voxels]
        dices = [quality.dice for quality in qualities if quality.labelled_voxels + quality.true_voxels]
        cells = (name, _mean(precisions), len(precisions), _mean(recalls), len(recalls), _mean(dices), len(dices))
        return cells[: len(self.header())]


def expand(
    dataset: str | Path,
    annotations: str | Path | None,
    settings: ExpansionSettings,
    out: str | Path,
    *,
    kind: str = SupervisionKind.PARTIAL,
) -> ExpansionSummary:
    """Grow annotations and write the result as a dataset that nnU-Net and Voxseed train on as it is.

    Cases of the split's test part go to imagesTs, without labels, as do those that were there; so nobody trains on
    them by accident. Images are hard links where the file system allows it. expansion.csv lies in the new dataset.

    Of the kind "probability" the labels are the most probable classes, and probabilities/CASE.nii.gz holds the maps
    that they follow from: 4D, background first.

    Args:
        dataset: folder in the nnU-Net raw layout.
        annotations: name or path of an annotation set; not needed where there is only one.
        settings: how points are grown.
        out: the new folder; must not exist, or be empty.
        kind: of supervision, "partial" or "probability".

    Raises:
        InputError: if the kind is another, an annotation or image cannot be used, no case to train on or a class is
            not annotated, or `out` cannot be written to. Nothing is left half-written.
    """
    data, out, wanted = Dataset.open(dataset), Path(out), _kind(kind)
    annotation_set = data.annotations(annotations)
    splits = data.splits()
    test = (*splits.test_cases(data.cases), *data.test_cases)
    cases = tuple(case for case in annotated_cases(data, annotation_set) if case not in test)
    if not cases:
        raise InputError(f"{annotation_set.path}: no case of {data.root} to train on is annotated. Annotate some.")
    require_every_class(data, annotation_set, cases, boxes_teach=wanted is SupervisionKind.PROBABILITY)
    with new_folder(out, out.parent, "Choose another place with --out.") as folder:
        work = _Expansion(data, annotation_set, settings, folder, wanted)
        expansions = tuple(map_in_threads(work.write_case, cases, "Expanding"))
        for case in test:
            _link_images(data, case, folder / "imagesTs")
        _write_tables(data, splits, cases, expansions, folder)
    return ExpansionSummary(out, _class_names(data), expansions, wanted)


@dataclass(frozen=True)
class _Expansion:
    """What is the same for all cases."""

    data: Dataset
    annotation_set: AnnotationSet
    settings: ExpansionSettings
    folder: Path
    kind: SupervisionKind

    def write_case(self, case: str) -> CaseExpansion:
        """Write images and supervision of one case; measure the latter if there is a dense label."""
        labels = self.data.labels
        image = self.data.read_image(case)
        supervision = build_supervision(
            self.annotation_set.read(case), image, labels, self.settings, valid_region(image.array), case, self.kind
        )
        if supervision.probabilities is not None:
            self._write_probabilities(case, supervision.probabilities, supervision.affine)
        target = Volume(labels.with_ignore().from_class_indices(supervision.target), supervision.affine)
        write_volume(self.folder / "labelsTr" / f"{case}{self.data.file_ending}", target)
        _link_images(self.data, case, self.folder / "imagesTr")
        label = self.data.read_label(case)
        qualities = (
            ()
            if label is None
            else precision_and_recall(supervision, labels.to_class_indices(label.array), labels.class_count)
        )
        return CaseExpansion(case, annotated_share(supervision), qualities)

    def _write_probabilities(self, case: str, maps: FloatArray, affine: FloatArray) -> None:
        """As a prediction's: classes are the fourth axis, background first."""
        background = 1 - maps.max(axis=0, keepdims=True)
        classes_last = np.moveaxis(np.concatenate([background, maps]), 0, -1)
        write_volume(self.folder / PROBABILITIES_FOLDER / f"{case}.nii.gz", Volume(classes_last, affine))


def _kind(name: str) -> SupervisionKind:
    kinds = (SupervisionKind.PARTIAL, SupervisionKind.PROBABILITY)
    if name not in kinds:
        raise InputError(f"--kind {name}: annotations become one of {', '.join(kinds)}.")
    return SupervisionKind(name)


def _link_images(data: Dataset, case: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in data.image_paths(case):
        # MetaImage headers have their voxels in a second file of the same stem.
        parts = [path, *(path.with_suffix(suffix) for suffix in (".raw", ".zraw") if path.suffix.lower() == ".mhd")]
        for part in parts:
            if part.is_file():
                _link_or_copy(part.resolve(), folder / part.name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _write_tables(
    data: Dataset, splits: Splits, cases: Sequence[str], expansions: Sequence[CaseExpansion], folder: Path
) -> None:
    description = replace(data.description, labels=data.labels.with_ignore())
    write_json(folder / FILE_NAME, description.to_json(training_count=len(cases)))
    if splits.folds:
        folds = tuple(Fold(*(_only(part, cases) for part in (fold.train, fold.val))) for fold in splits.folds)
        Splits(splits.test, folds).write(folder / SPLITS_NAME)
    write_text(folder / CSV_NAME, _csv(_class_names(data), expansions))


def _csv(class_names: Sequence[str], expansions: Sequence[CaseExpansion]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for expansion in expansions:
        share = f"{expansion.annotated_share:.6g}"
        if not expansion.qualities:
            writer.writerow((expansion.case, "", "", "", "", "", share, ""))
        for quality in expansion.qualities:
            numbers = ("" if np.isnan(value) else f"{value:.6g}" for value in (quality.precision, quality.recall))
            counts = (quality.labelled_voxels, quality.true_voxels)
            dice = "" if np.isnan(quality.dice) else f"{quality.dice:.6g}"
            writer.writerow((expansion.case, class_names[quality.class_index], *numbers, *counts, share, dice))
    return text.getvalue()


def _class_names(data: Dataset) -> tuple[str, ...]:
    return (BACKGROUND_NAME, *data.labels.foreground)


def _only(wanted: Sequence[str], cases: Sequence[str]) -> tuple[str, ...]:
    return tuple(case for case in wanted if case in cases)


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f}" if values else "-"
