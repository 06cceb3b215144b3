"""Predict cases with the model of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voxseed.data.images import read_image
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.inference.predictor import Predictor
from voxseed.progress import track
from voxseed.workflows.prediction_inputs import PredictionInput, find_inputs


def predict(
    run: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    probabilities: bool = False,
    ensemble: bool = False,
    device: str = "auto",
) -> list[Path]:
    """Write a label map per case, and on request a 4D map of probabilities; what is there already is replaced.

    A case that cannot be predicted does not keep the others from it.

    Args:
        run: a run, or a model folder.
        inputs: images, folders of images, or datasets; see `find_inputs`.
        out: label maps go to OUT/CASE with the images' ending, probabilities to OUT/CASE_probabilities.nii.gz with
            background first.
        probabilities: write them too.
        ensemble: average all networks of the model.
        device: auto, cpu or cuda.

    Returns:
        The label maps that were written.

    Raises:
        InputError: before anything is predicted, if model, inputs or device cannot be used; in the end, if cases could
            not be predicted, and then it names them.
    """
    predictor = Predictor.load(run, device=device, ensemble=ensemble)
    cases = find_inputs(inputs, len(predictor.model.description.preprocessing.channel_names))
    _require_no_overwriting(cases, out)
    written, problems = [], []
    for case in track(cases, "predict"):
        try:
            prediction = predictor.predict(read_image(case.paths), str(case.paths[0]), probabilities)
        except InputError as error:
            problems.append(str(error))
            continue
        written.append(_label_path(case, out))
        write_volume(written[-1], prediction.labels)
        if prediction.probabilities is not None:
            # NIfTI alone keeps classes as a fourth axis that every viewer understands.
            classes_last = np.moveaxis(prediction.probabilities, 0, -1)
            write_volume(out / f"{case.case}_probabilities.nii.gz", Volume(classes_last, prediction.labels.affine))
    if problems:
        raise InputError(
            f"{len(problems)} of {len(cases)} cases could not be predicted, the other {len(written)} are in {out}. "
            + " ".join(problems)
        )
    return written


def _label_path(case: PredictionInput, out: Path) -> Path:
    return out / f"{case.case}{case.ending}"


def _require_no_overwriting(cases: Sequence[PredictionInput], out: Path) -> None:
    images = {path.resolve() for case in cases for path in case.paths}
    overwritten = next((path for case in cases if (path := _label_path(case, out)).resolve() in images), None)
    if overwritten:
        raise InputError(
            f"{overwritten}: the prediction would replace its own image. Choose another folder with --out."
        )
