"""Predict cases with the model of a run."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.images import read_image
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.evaluation.calibration import PROBABILITIES_FOLDER
from voxseed.files import write_text
from voxseed.inference.predictor import Predictor
from voxseed.progress import track
from voxseed.workflows.prediction_inputs import PredictionInput, find_inputs

_DATASET_FOLDERS = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")
UNCERTAINTY_FOLDER = "uncertainty"
UNCERTAINTY_TABLE = "uncertainty.csv"


def predict(
    run: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    probabilities: bool = False,
    ensemble: bool = False,
    samples: int = 0,
    uncertainty: bool = False,
    device: str = "auto",
) -> list[Path]:
    """Write a label map per case, on request maps of probabilities and uncertainty; what is there already is replaced.

    A case that cannot be predicted does not keep the others from it.

    Args:
        run: a run, or a model folder.
        inputs: images, folders of images, or datasets; see `find_inputs`.
        out: label maps go to OUT/CASE with the images' ending, probabilities to OUT/probabilities/CASE.nii.gz with
            background first.
        probabilities: write them too.
        ensemble: average all networks of the model.
        samples: average so many random passes of a network that is random; 0 draws nothing.
        uncertainty: write how far samples differ, or without samples all networks of the model, to
            OUT/uncertainty/CASE_uncertainty.nii.gz, and its mean over predicted objects to OUT/uncertainty.csv.
        device: auto, cpu or cuda.

    Returns:
        The label maps that were written.

    Raises:
        InputError: before anything is predicted, if model, inputs or device cannot be used; in the end, if cases could
            not be predicted, and then it names them.
    """
    out = Path(out)
    predictor = Predictor.load(Path(run), device=device, ensemble=ensemble, samples=samples)
    if uncertainty:
        predictor.require_uncertainty()
    description, classes = predictor.model.description, predictor.model.labels.foreground
    cases = find_inputs([Path(each) for each in inputs], description.preprocessing.channel_names, classes)
    _require_no_overwriting(cases, out)
    written, problems, means = [], [], {}
    for case in track(cases, "Predicting"):
        try:
            prediction = predictor.predict(read_image(case.paths), str(case.paths[0]), probabilities, uncertainty)
        except InputError as error:
            problems.append(str(error))
            continue
        written.append(_label_path(case, out))
        write_volume(written[-1], prediction.labels)
        if prediction.probabilities is not None:
            # NIfTI alone keeps classes as a fourth axis that every viewer understands.
            classes_last = np.moveaxis(prediction.probabilities, 0, -1)
            path = out / PROBABILITIES_FOLDER / f"{case.case}.nii.gz"
            write_volume(path, Volume(classes_last, prediction.labels.affine))
        if prediction.uncertainty is not None:
            path = out / UNCERTAINTY_FOLDER / f"{case.case}_uncertainty.nii.gz"
            write_volume(path, Volume(prediction.uncertainty, prediction.labels.affine))
            means[case.case] = prediction.mean_uncertainty
    if means:
        write_text(out / UNCERTAINTY_TABLE, _uncertainty_csv(means))
    if problems:
        raise InputError(_failures(problems, len(cases), out))
    return written


def _uncertainty_csv(means: Mapping[str, float]) -> str:
    """A line per case; empty where nothing is predicted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "uncertainty"))
    writer.writerows((case, "" if math.isnan(mean) else f"{mean:.6g}") for case, mean in sorted(means.items()))
    return text.getvalue()


def _failures(problems: Sequence[str], case_count: int, out: Path) -> str:
    if case_count == 1:
        return problems[0]
    others = case_count - len(problems)
    written = f", the other {others} are in {out}" if others else ""
    return "\n".join([f"{len(problems)} of {case_count} cases could not be predicted{written}.", *problems])


def _label_path(case: PredictionInput, out: Path) -> Path:
    return out / f"{case.case}{case.ending}"


def _require_no_overwriting(cases: Sequence[PredictionInput], out: Path) -> None:
    if (out.parent / FILE_NAME).is_file() and out.name in _DATASET_FOLDERS:
        raise InputError(
            f"--out {out}: a folder of the dataset itself, whose images and labels predictions must not replace. "
            "Choose another folder."
        )
    images = {path.resolve() for case in cases for path in case.paths}
    overwritten = next((path for case in cases if (path := _label_path(case, out)).resolve() in images), None)
    if overwritten:
        raise InputError(
            f"{overwritten}: the prediction would replace its own image. Choose another folder with --out."
        )
