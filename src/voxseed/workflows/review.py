"""Review of a model's predictions: which there are, how good they may be, and what a person says of them."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxseed.data.datasets import Dataset
from voxseed.data.grids import require_same_grid
from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume, read_label, read_volume
from voxseed.devices import resolve_device
from voxseed.errors import InputError
from voxseed.types import LabelArray
from voxseed.workflows.prediction_inputs import files_status
from voxseed.workflows.prediction_records import UNCERTAINTY_FOLDER, PredictionRecord, read_record, record_path
from voxseed.workflows.propose import propose
from voxseed.workflows.verdicts import Verdict, Verdicts

if TYPE_CHECKING:
    from voxseed.inference.predictor import Predictor

SAMPLES = 6
"""Of a random network, so that they can differ."""


class NotPredictedError(InputError):
    """There is no prediction of this case, or another one by now."""


@dataclass(frozen=True)
class ReviewedModel:
    """What a review has to know of a model.

    Attributes:
        run: a run, or a model folder.
        digest: as predictions name their model.
        labels: of its predictions.
        channels: names of what it was trained on.
        options: of `predict`: an uncertainty where the model has several opinions.
    """

    run: Path
    digest: str
    labels: Labels
    channels: tuple[str, ...]
    options: Mapping[str, Any]

    @classmethod
    def load(cls, run: Path, device: str = "auto") -> "ReviewedModel":
        """Read the model of a run, and check that it can predict here.

        Raises:
            InputError: if there is no model, or model or device cannot be used.
        """
        from voxseed.inference.predictor import Predictor, model_digest

        resolve_device(device)
        predictor = Predictor.load(run, device="cpu")  # the device's memory is for the process that predicts
        options = {**_opinions(predictor), "device": device}
        channels = predictor.model.description.preprocessing.channel_names
        return cls(run, model_digest(run), predictor.model.labels, channels, options)


@dataclass(frozen=True)
class ReviewedCase:
    """A case and what is known of its prediction.

    Attributes:
        case: its name.
        record: of the prediction; None while there is none of this model and these images.
        verdict: on this prediction.
    """

    case: str
    record: PredictionRecord | None
    verdict: Verdict

    @property
    def prediction(self) -> str:
        """Names the prediction; another model, other options or another image give another one. Empty without one."""
        return "" if self.record is None else prediction_name(self.record)

    @property
    def has_uncertainty(self) -> bool:
        """Whether the prediction came with a map of how far the model's opinions differ."""
        return self.record is not None and _uncertainty_file(self.record) is not None


@dataclass(frozen=True)
class Proposal:
    """Which case to annotate next.

    Attributes:
        case: None if there is none to propose.
        reason: why, in a sentence.
    """

    case: str | None
    reason: str


class Review:
    """The predictions of a model for the cases in a dataset's imagesTr.

    Args:
        data: the dataset.
        model: whose predictions are reviewed.
        out: folder of the predictions, made if it is not there.

    Raises:
        InputError: if the dataset has other channels than the model, or lacks one of its classes, or the folder cannot
            be used.
    """

    def __init__(self, data: Dataset, model: ReviewedModel, out: Path) -> None:
        _require_fitting(data, model)
        self.data = data
        self.model = model
        self.out = out
        self._verdicts = Verdicts(out)
        self._records: dict[str, tuple[int, PredictionRecord]] = {}

    def close(self) -> None:
        """Let another process review these predictions."""
        self._verdicts.close()

    def cases(self) -> list[ReviewedCase]:
        """Every case, worst first; then those that are not predicted yet."""
        return sorted(map(self.case, self.data.cases), key=_worst_first)

    def case(self, case: str) -> ReviewedCase:
        """What is known of a case of imagesTr."""
        record = self._record(case)
        if record is None:
            return ReviewedCase(case, None, Verdict.UNDECIDED)
        return ReviewedCase(case, record, self._verdicts.of(case, prediction_name(record)))

    def missing(self) -> list[Path]:
        """The first channel of each case that is not predicted yet."""
        return [self.data.image_paths(case)[0] for case in self.data.cases if self._record(case) is None]

    def say(self, case: str, prediction: str, verdict: Verdict) -> None:
        """Judge a prediction; on disk before this returns.

        Args:
            case: of the dataset.
            prediction: which was looked at.
            verdict: on it.

        Raises:
            NotPredictedError: if that is not the prediction that there is.
        """
        self._require_record(case, prediction)
        self._verdicts.say(case, prediction, verdict)

    def next_to_annotate(self, annotated: Collection[str]) -> Proposal:
        """The case from which the next training would learn most, of those that are predicted so far.

        Args:
            annotated: names of the cases that have an annotation.
        """
        if set(self.data.cases) <= set(annotated):
            return Proposal(None, "Every case is annotated.")
        found = propose([each.record for each in self.cases() if each.record is not None], annotated, count=1)
        if not found:
            return Proposal(None, "No case without annotation is predicted yet.")
        return Proposal(found[0], "Badly predicted, unlike those annotated so far, and like others that wait.")

    def labels(self, case: str, prediction: str) -> Volume:
        """What was predicted, as class indices of the dataset, on the case's own grid.

        Raises:
            NotPredictedError: if that is not the prediction that there is.
            InputError: if its file cannot be used.
        """
        record = self._require_record(case, prediction)
        path = self._require_inside(self.out / record.files[0])
        label = read_label(path)
        self._require_grid(label, path, case)
        indices = self.model.labels.to_class_indices(label.array, str(path))
        return Volume(_translated(indices, self.model.labels, self.data.labels), label.affine)

    def uncertainty(self, case: str, prediction: str) -> Volume:
        """How far the model's opinions differ, on the case's own grid.

        Raises:
            NotPredictedError: if that is not the prediction that there is, or it has no uncertainty.
            InputError: if its file cannot be used.
        """
        record = self._require_record(case, prediction)
        name = _uncertainty_file(record)
        if name is None:
            raise NotPredictedError(f"{case}: the prediction has no uncertainty, because the model has one opinion.")
        path = self._require_inside(self.out / name)
        volume = read_volume(path)
        self._require_grid(volume, path, case)
        return volume

    def _record(self, case: str) -> PredictionRecord | None:
        """The record of a case, if it is of this model and of its images as they are now; read once."""
        try:
            changed_ns = record_path(self.out, case).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        known = self._records.get(case)
        if known is None or known[0] != changed_ns:
            record = read_record(self.out, case)
            if record is None:
                return None
            known = self._records[case] = (changed_ns, record)
        return known[1] if self._is_current(known[1]) else None

    def _is_current(self, record: PredictionRecord) -> bool:
        wanted = {"model": self.model.digest, **files_status(self.data.image_paths(record.case))}
        return all(record.origin.get(key) == value for key, value in wanted.items())

    def _require_record(self, case: str, prediction: str) -> PredictionRecord:
        record = self._record(case)
        if record is None:
            raise NotPredictedError(f"{case}: not predicted yet.")
        if prediction_name(record) != prediction:
            raise NotPredictedError(f"{case}: predicted anew meanwhile. Look at it again.")
        return record

    def _require_inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.out.resolve()):
            raise InputError(f"{path}: lies outside {self.out}. Remove the case's record, and predict it again.")
        return path

    def _require_grid(self, volume: Volume, path: Path, case: str) -> None:
        require_same_grid(volume, path, self.data.read_grid(case), Path(f"the image of {case}"))


def review_folder(run: Path, data: Dataset) -> Path:
    """Where predictions for a review are if nothing else is said: beside the run, a folder per dataset."""
    run = run.resolve()
    return run.parent / f"{run.name}-review" / data.root.resolve().name


def _require_fitting(data: Dataset, model: ReviewedModel) -> None:
    if len(data.channel_names) != len(model.channels):
        raise InputError(
            f"{data.root}: has the channels {', '.join(data.channel_names)}; the model of {model.run} was trained on "
            f"{', '.join(model.channels)}. Give a dataset with those."
        )
    unknown = [name for name in model.labels.foreground if name not in data.labels.foreground]
    if unknown:
        raise InputError(
            f"{data.root}: has no class {unknown[0]!r}, which the model of {model.run} predicts. Give the dataset "
            "that it was trained on, or rename classes with voxseed dataset relabel."
        )


def prediction_name(record: PredictionRecord) -> str:
    """Follows from what the prediction follows from."""
    return hashlib.sha256(json.dumps([record.case, record.origin], sort_keys=True).encode()).hexdigest()[:16]


def _uncertainty_file(record: PredictionRecord) -> str | None:
    return next((name for name in record.files if name.startswith(f"{UNCERTAINTY_FOLDER}/")), None)


def _opinions(predictor: "Predictor") -> dict[str, Any]:
    """How `predict` measures an uncertainty with this model; nothing if it has one opinion."""
    if len(predictor.model.networks) > 1:
        return {"uncertainty": True}
    return {"uncertainty": True, "samples": SAMPLES} if predictor.is_random else {}


def _worst_first(each: ReviewedCase) -> tuple[bool, float, str]:
    return each.record is None, 0.0 if each.record is None else each.record.mean_expected_dice, each.case


def _translated(indices: LabelArray, model: Labels, dataset: Labels) -> LabelArray:
    """The model's class indices as those of the dataset."""
    lookup = np.array([0, *(dataset.class_index(name) for name in model.foreground)], dtype=np.uint8)
    return lookup[indices]
