"""Predict cases with the model of a run."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.dicom_seg import dicom_segmentation, require_highdicom, write_dicom_seg
from voxseed.data.images import stacked
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError, InterruptedRunError
from voxseed.evaluation.calibration import PROBABILITIES_FOLDER
from voxseed.inference.doubts import Doubt, find_doubts
from voxseed.inference.predictor import Prediction, Predictor, model_digest
from voxseed.progress import track
from voxseed.workflows.prediction_inputs import PredictionInput, files_status, find_inputs
from voxseed.workflows.prediction_records import (
    UNCERTAINTY_FOLDER,
    PredictionRecord,
    locks_folder,
    object_volumes,
    read_record,
    write_record,
    write_tables,
)
from voxseed.workflows.shards import Shard, claimed

_log = logging.getLogger("voxseed")
_DATASET_FOLDERS = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")
DICOM_SEG: Final = "dicom-seg"
FORMATS: Final = {"nifti": ".nii.gz", "nrrd": ".nrrd", DICOM_SEG: ".dcm"}


@dataclass(frozen=True)
class PredictionSummary:
    """What a prediction left.

    Attributes:
        out: its folder.
        written: label maps of this job.
        complete: how many cases were there already, of the same model, options and inputs.
        elsewhere: how many cases another job is working on.
        doubts: case and reason, of this job's cases and those that were there already.
        ranking: case and expected Dice, mean over classes, of the same cases, worst first.
    """

    out: Path
    written: tuple[Path, ...]
    complete: int
    elsewhere: int
    doubts: tuple[tuple[str, Doubt], ...]
    ranking: tuple[tuple[str, float], ...]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """One row per doubt: case, class, rule, reason."""
        return [(case, doubt.class_name, doubt.rule, doubt.reason) for case, doubt in self.doubts]


def predict(
    run: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    format: str | None = None,
    series: str | None = None,
    probabilities: bool = False,
    ensemble: bool = False,
    samples: int = 0,
    uncertainty: bool = False,
    member: str | None = None,
    shard: str | None = None,
    device: str = "auto",
) -> PredictionSummary:
    """Write a label map per case and tables of all; on request maps of probabilities and uncertainty.

    The tables are volumes.csv, distrust.csv (reasons to look at a case) and quality.csv (expected Dice).
    What is there already is replaced, unless the work is divided by `shard`: then cases that are complete are left,
    and those that another job works on. A case that cannot be predicted does not keep the others from it.

    Args:
        run: a run, or a model folder.
        inputs: images, folders of images or of DICOM series, or datasets; see `find_inputs`.
        out: label maps go to OUT/CASE, probabilities to OUT/probabilities/CASE.nii.gz with background first, what is
            known of each case to OUT/records/CASE.json.
        format: nifti, nrrd or dicom-seg; as the images if not given, NIfTI for DICOM series.
        series: regular expression that a DICOM series description must match, in any case.
        probabilities: write them too.
        ensemble: average all networks of the model.
        samples: average so many random passes of each network, which must be random; 0 draws nothing.
        uncertainty: write how far samples differ, or without samples all networks of the model, to
            OUT/uncertainty/CASE.nii.gz, and its mean over predicted objects to OUT/uncertainty.csv.
        member: network that predicts; the model's default one if not given.
        shard: "I/N", to predict the I-th of N parts of the cases, or what is left of it.
        device: auto, cpu or cuda.

    Raises:
        InputError: before anything is predicted, if model, inputs, format or device cannot be used; in the end, if
            cases could not be predicted, and then it names them.
        InterruptedRunError: on Ctrl-C with `shard`; says how to go on.
    """
    out = Path(out)
    _require_format(format)
    if ensemble and member is not None:
        raise InputError(f"--member {member}: is one network, and --ensemble means all. Give one of the two.")
    part = Shard.parse(shard) if shard else None
    members = None if member is None else (member,)
    predictor = Predictor.load(Path(run), device=device, members=members, ensemble=ensemble, samples=samples)
    if uncertainty:
        predictor.require_uncertainty()
    description, classes = predictor.model.description, predictor.model.labels.foreground
    cases = find_inputs([Path(each) for each in inputs], description.preprocessing.channel_names, classes, series)
    work = _Work(predictor, out, format, probabilities, uncertainty, model_digest(Path(run)))
    _require_writable_as(format, cases)
    _require_no_overwriting(cases, work)
    try:
        return work.predict(part.of(sorted(cases, key=lambda case: case.case)) if part else cases, part is not None)
    except KeyboardInterrupt:
        if part is None:
            raise
        raise InterruptedRunError(
            f"Interrupted; complete cases are kept in {out}. Go on with the same command."
        ) from None


class _UnusableCaseError(InputError):
    """What is wrong with one case, and does not keep the others from being predicted."""


@dataclass(frozen=True)
class _Work:
    """What is the same for all cases."""

    predictor: Predictor
    out: Path
    format: str | None
    probabilities: bool
    uncertainty: bool
    model: str

    def predict(self, cases: Sequence[PredictionInput], is_shared: bool) -> PredictionSummary:
        written: list[Path] = []
        records: list[PredictionRecord] = []
        problems: list[str] = []
        complete = elsewhere = 0
        for case in track(cases, "Predicting"):
            try:
                if not is_shared:
                    records.append(self._write(case))
                    written.append(self.label_path(case))
                    continue
                with claimed(locks_folder(self.out), case.case) as is_mine:
                    found = self._complete_record(case) if is_mine else None
                    complete, elsewhere = complete + (found is not None), elsewhere + (not is_mine)
                    if is_mine:
                        records.append(found or self._write(case))
                        written += [] if found else [self.label_path(case)]
            except _UnusableCaseError as error:
                problems.append(str(error))
        if records:
            write_tables(self.out)
        if problems:
            raise InputError(_failures(problems, len(cases), self.out))
        doubts = tuple((record.case, doubt) for record in records for doubt in record.doubts)
        ranking = sorted(((record.case, record.mean_expected_dice) for record in records), key=lambda each: each[1])
        return PredictionSummary(self.out, tuple(written), complete, elsewhere, doubts, tuple(ranking))

    def label_path(self, case: PredictionInput) -> Path:
        return self.out / f"{case.case}{FORMATS[self.format] if self.format else case.ending}"

    def _complete_record(self, case: PredictionInput) -> PredictionRecord | None:
        """What an earlier job left, if it would be the same again."""
        record = read_record(self.out, case.case)
        return record if record is not None and record.origin == self._origin(case) else None

    def _write(self, case: PredictionInput) -> PredictionRecord:
        origin = self._origin(case)  # before the images are read, so that a later change is noticed
        prediction, segmentation = self._predicted(case)
        path = self.label_path(case)
        if segmentation is not None:
            write_dicom_seg(path, segmentation)
        else:
            write_volume(path, prediction.labels)
        files = [path.name]
        if prediction.probabilities is not None:
            # NIfTI alone keeps classes as a fourth axis that every viewer understands.
            classes_last = np.moveaxis(prediction.probabilities, 0, -1)
            files.append(f"{PROBABILITIES_FOLDER}/{case.case}.nii.gz")
            write_volume(self.out / files[-1], Volume(classes_last, prediction.labels.affine))
        if prediction.uncertainty is not None:
            files.append(f"{UNCERTAINTY_FOLDER}/{case.case}.nii.gz")
            write_volume(self.out / files[-1], Volume(prediction.uncertainty, prediction.labels.affine))
        record = self._record(case.case, origin, tuple(files), prediction)
        write_record(self.out, record)
        _log.info("Predicted %s", case.case, extra={"facts": {"case": case.case, "doubts": len(record.doubts)}})
        return record

    def _predicted(self, case: PredictionInput) -> tuple[Prediction, Any]:
        """The prediction and, where it is asked for, the DICOM Segmentation of it."""
        try:
            image = stacked([channel.read() for channel in case.channels], case.paths)
            prediction = self.predictor.predict(image, str(case.paths[0]), self.probabilities, self.uncertainty)
            if self.format != DICOM_SEG or case.series is None:
                return prediction, None
            return prediction, dicom_segmentation(prediction.labels, self.predictor.model.labels, case.series)
        except InputError as error:
            raise _UnusableCaseError(str(error)) from None

    def _record(
        self, case: str, origin: dict[str, Any], files: tuple[str, ...], prediction: Prediction
    ) -> PredictionRecord:
        labels, description = self.predictor.model.labels, self.predictor.model.description
        indices = labels.to_class_indices(prediction.labels.array)
        voxel_mm3 = math.prod(prediction.labels.spacing_mm)
        volumes = object_volumes(indices, labels.foreground, voxel_mm3)
        doubts = find_doubts(indices, labels.foreground, voxel_mm3, prediction.confidence, description.class_ranges)
        estimates = dict(zip(labels.foreground, prediction.expected_dice, strict=True))
        mean = None if math.isnan(prediction.mean_uncertainty) else prediction.mean_uncertainty
        return PredictionRecord(case, origin, files, volumes, tuple(doubts), estimates, mean, description.oracles)

    def _origin(self, case: PredictionInput) -> dict[str, Any]:
        """Model, options, and size and time of the input files, as JSON has them."""
        return {
            "model": self.model,
            "members": list(self.predictor.members),
            "format": self.format,
            "probabilities": self.probabilities,
            "samples": self.predictor.samples,
            "uncertainty": self.uncertainty,
            **files_status(case.files()),
        }


def _failures(problems: Sequence[str], case_count: int, out: Path) -> str:
    if case_count == 1:
        return problems[0]
    others = case_count - len(problems)
    written = f", the other {others} are in {out}" if others else ""
    return "\n".join([f"{len(problems)} of {case_count} cases could not be predicted{written}.", *problems])


def _require_format(format: str | None) -> None:
    if format is not None and format not in FORMATS:
        raise InputError(f"--format {format}: unknown format. Known: {', '.join(FORMATS)}.")


def _require_writable_as(format: str | None, cases: Sequence[PredictionInput]) -> None:
    if format != DICOM_SEG:
        return
    require_highdicom()
    without = next((case for case in cases if case.series is None), None)
    if without is not None:
        raise InputError(
            f"{without.paths[0]}: no DICOM series, so a DICOM Segmentation has no slices to refer to. "
            "Predict the series itself, or choose --format nifti."
        )


def _require_no_overwriting(cases: Sequence[PredictionInput], work: _Work) -> None:
    out = work.out
    if (out.parent / FILE_NAME).is_file() and out.name in _DATASET_FOLDERS:
        raise InputError(
            f"--out {out}: a folder of the dataset itself, whose images and labels predictions must not replace. "
            "Choose another folder."
        )
    images = {path.resolve() for case in cases for path in case.files()}
    overwritten = next((path for case in cases if (path := work.label_path(case)).resolve() in images), None)
    if overwritten:
        raise InputError(
            f"{overwritten}: the prediction would replace its own image. Choose another folder with --out."
        )
