"""Expand: annotations into supervision, written as a complete nnU-Net dataset with an `ignore` label."""

import csv
import io
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.datasets import Dataset
from voxseed.data.labels import BACKGROUND_NAME, Labels
from voxseed.data.splits import FILE_NAME as SPLITS_NAME
from voxseed.data.splits import Fold, Splits
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError, InterruptedRunError
from voxseed.evaluation.calibration import PROBABILITIES_FOLDER
from voxseed.files import write_json, write_text
from voxseed.parallel import map_in_threads
from voxseed.progress import track
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.supervision.quality import annotated_share, precision_and_recall
from voxseed.training.cases import annotation_digest
from voxseed.types import FloatArray
from voxseed.workflows.annotated_cases import Teaching, annotated_cases, require_every_class
from voxseed.workflows.expansion_parts import CaseExpansion, ExpansionParts
from voxseed.workflows.new_folder import new_folder
from voxseed.workflows.shards import Shard

_log = logging.getLogger("voxseed")
CSV_NAME = "expansion.csv"
_COLUMNS = ("case", "class", "precision", "recall", "labelled_voxels", "true_voxels", "annotated_share", "dice")


@dataclass(frozen=True)
class ExpansionSummary:
    """What an expansion made.

    Attributes:
        path: the new dataset.
        class_names: background first.
        cases: one per annotated case that is complete.
        missing: how many are not, because other jobs have them.
        kind: of supervision; where every voxel has a class, Dice is shown too.
    """

    path: Path
    class_names: tuple[str, ...]
    cases: tuple[CaseExpansion, ...]
    missing: int = 0
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
    labels: Labels | None = None,
    shard: str | None = None,
) -> ExpansionSummary:
    """Grow annotations and write the result as a dataset that nnU-Net and Voxseed train on as it is.

    Cases of the split's test part go to imagesTs, without labels, as do those that were there; so nobody trains on
    them by accident. Images are hard links where the file system allows it. expansion.csv lies in the new dataset.

    Of the kind "probability" the labels are the most probable classes, and probabilities/CASE.nii.gz holds the maps
    that they follow from: 4D, background first.

    With `shard` several jobs fill one folder. A case that is complete is left, and one that another job works on; the
    job that finds all cases complete writes dataset.json, without which the folder is no dataset.

    Args:
        dataset: folder in the nnU-Net raw layout.
        annotations: name or path of an annotation set; not needed where there is only one.
        settings: how points are grown.
        out: the new folder; must not exist, or be empty, or hold the parts of the same expansion.
        kind: of supervision, "partial" or "probability".
        labels: table of the new dataset, with `ignore` and the same classes; the dataset's own if not given.
        shard: "I/N", to expand the I-th of N parts of the cases, or what is left of it.

    Raises:
        InputError: if the kind is another, an annotation or image cannot be used, no case to train on or a class is
            not annotated, or `out` cannot be written to. Nothing is left half-written.
        InterruptedRunError: on Ctrl-C with `shard`; says how to go on.
    """
    data, out, wanted = Dataset.open(dataset), Path(out), _kind(kind)
    part = Shard.parse(shard) if shard else None
    annotation_set = data.annotations(annotations)
    splits = data.splits()
    test = (*splits.test_cases(data.cases), *data.test_cases)
    cases = tuple(case for case in annotated_cases(data, annotation_set) if case not in test)
    if not cases:
        raise InputError(f"{annotation_set.path}: no case of {data.root} to train on is annotated. Annotate some.")
    teaching = Teaching.ANYTHING if wanted is SupervisionKind.PROBABILITY else Teaching.VOXELS
    require_every_class(data, annotation_set, cases, teaching)
    table = labels or data.labels.with_ignore()
    if part is not None:
        work = _Expansion(data, annotation_set, settings, table, out, wanted)
        return _expand_part(work, part, cases, test, splits)
    with new_folder(out, out.parent, "Choose another place with --out.") as folder:
        work = _Expansion(data, annotation_set, settings, table, folder, wanted)
        expansions = tuple(map_in_threads(work.write_case, cases, "Expanding"))
        _finish(work, cases, test, splits, expansions)
    return ExpansionSummary(out, _class_names(data), expansions, kind=wanted)


def _expand_part(
    work: "_Expansion", part: Shard, cases: Sequence[str], test: Sequence[str], splits: Splits
) -> ExpansionSummary:
    parts = ExpansionParts(work.folder)
    parts.begin(work.origin(cases))
    try:
        for case in track(part.of(cases), "Expanding"):
            origin = work.case_origin(case)
            with parts.open_case(case, origin) as is_mine:
                if is_mine:
                    parts.complete(work.write_case(case), origin)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"Interrupted; complete cases are kept in {work.folder}. Go on with the same command."
        ) from None
    with parts.finishing():
        expansions = tuple(found for case in cases if (found := parts.read(case, work.case_origin(case))))
        if len(expansions) == len(cases):
            _finish(work, cases, test, splits, expansions)
    missing = len(cases) - len(expansions)
    return ExpansionSummary(work.folder, _class_names(work.data), expansions, missing, work.kind)


def _finish(
    work: "_Expansion",
    cases: Sequence[str],
    test: Sequence[str],
    splits: Splits,
    expansions: Sequence[CaseExpansion],
) -> None:
    """Test images and tables; dataset.json makes it a dataset."""
    for case in test:
        _link_images(work.data, case, work.folder / "imagesTs")
    _write_tables(work, splits, cases, expansions)


@dataclass(frozen=True)
class _Expansion:
    """What is the same for all cases."""

    data: Dataset
    annotation_set: AnnotationSet
    settings: ExpansionSettings
    labels: Labels
    folder: Path
    kind: SupervisionKind

    def origin(self, cases: Sequence[str]) -> dict[str, Any]:
        """What the whole expansion follows from, as JSON has it."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "kind": self.kind.value,
            "labels": dict(self.labels),
            "file_ending": self.data.file_ending,
            "cases": list(cases),
        }

    def case_origin(self, case: str) -> dict[str, Any]:
        """What a case's supervision follows from, besides that: its annotation, size and time of its images."""
        status = [path.stat() for path in self.data.image_paths(case)]
        return {
            "annotation": annotation_digest(self.annotation_set.read(case)),
            "image_bytes": sum(each.st_size for each in status),
            "image_changed_ns": max(each.st_mtime_ns for each in status),
        }

    def write_case(self, case: str) -> CaseExpansion:
        """Write images and supervision of one case; measure the latter if there is a dense label."""
        labels = self.data.labels
        image = self.data.read_image(case)
        supervision = build_supervision(
            self.annotation_set.read(case), image, labels, self.settings, valid_region(image.array), case, self.kind
        )
        if supervision.probabilities is not None:
            self._write_probabilities(case, supervision.probabilities, supervision.affine)
        target = Volume(self.labels.from_class_indices(supervision.target), supervision.affine)
        write_volume(self.folder / "labelsTr" / f"{case}{self.data.file_ending}", target)
        _link_images(self.data, case, self.folder / "imagesTr")
        label = self.data.read_label(case)
        qualities = (
            ()
            if label is None
            else precision_and_recall(supervision, labels.to_class_indices(label.array), labels.class_count)
        )
        _log.info("Expanded %s", case, extra={"facts": {"case": case}})
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
    folder.mkdir(parents=True, exist_ok=True)
    for path in data.image_paths(case):
        # MetaImage headers have their voxels in a second file of the same stem.
        parts = [path, *(path.with_suffix(suffix) for suffix in (".raw", ".zraw") if path.suffix.lower() == ".mhd")]
        for part in parts:
            if part.is_file():
                _link_or_copy(part.resolve(), folder / part.name)


def _link_or_copy(source: Path, target: Path) -> None:
    if target.exists():  # of an earlier job
        target.unlink()
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _write_tables(
    work: "_Expansion", splits: Splits, cases: Sequence[str], expansions: Sequence[CaseExpansion]
) -> None:
    if splits.folds:
        folds = tuple(Fold(*(_only(part, cases) for part in (fold.train, fold.val))) for fold in splits.folds)
        Splits(splits.test, folds).write(work.folder / SPLITS_NAME)
    write_text(work.folder / CSV_NAME, _csv(_class_names(work.data), expansions))
    description = replace(work.data.description, labels=work.labels)
    write_json(work.folder / FILE_NAME, description.to_json(training_count=len(cases)))


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
