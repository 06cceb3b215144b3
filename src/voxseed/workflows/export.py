"""Export what a run has made to the tools of others: a MONAI bundle, an ONNX file, an nnU-Net dataset."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.errors import InputError
from voxseed.inference.export_bundle import write_bundle
from voxseed.inference.export_onnx import write_onnx
from voxseed.inference.model_files import Model, load_model
from voxseed.inference.predictor import model_folder
from voxseed.training.run_folder import RunFolder
from voxseed.training.settings import read_run_settings
from voxseed.workflows.expand import expand
from voxseed.workflows.new_folder import new_folder

NNUNET: Final = "nnunet"
_OF_MODELS: Mapping[str, Callable[[Path, Model, str], None]] = {"bundle": write_bundle, "onnx": write_onnx}
_NNUNET_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
_NNUNET_NAME = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")


def export(
    run: str | Path,
    out: str | Path,
    format: str,
    *,
    member: str | None = None,
    dataset: str | Path | None = None,
    annotations: str | Path | None = None,
) -> Path:
    """Write a bundle, an ONNX file, or the dataset with its supervision.

    Args:
        run: a run; for bundle and onnx also a model folder.
        out: the new folder; must not exist, or be empty. For nnunet it is called DatasetNNN_NAME.
        format: bundle, onnx or nnunet.
        member: for bundle and onnx, the network; the model's default one if not given.
        dataset: for nnunet, what the run was trained on.
        annotations: for nnunet, as for `expand`.

    Returns:
        The new folder.

    Raises:
        InputError: if something that was given cannot be used; nothing is left half-written.
    """
    run, out = Path(run), Path(out)
    _require_fitting_options(format, member, dataset, annotations)
    if format == NNUNET:
        return _export_dataset(run, out, dataset, annotations)
    if format not in _OF_MODELS:
        raise InputError(f"--format {format}: unknown format. Known: {', '.join((*_OF_MODELS, NNUNET))}.")
    model = load_model(model_folder(run))
    chosen = member or model.description.default_member
    if chosen not in model.networks:
        raise InputError(f"--member {chosen}: no such network in {run}. Known: {', '.join(model.networks)}.")
    with new_folder(out, out.parent, "Choose another place with --out.") as folder:
        _OF_MODELS[format](folder, model, chosen)
    return out


def _require_fitting_options(
    format: str, member: str | None, dataset: str | Path | None, annotations: str | Path | None
) -> None:
    useless = {"--member": member} if format == NNUNET else {"--dataset": dataset, "--annotations": annotations}
    given = next((option for option, value in useless.items() if value is not None), None)
    if given:
        raise InputError(f"{given}: means nothing with --format {format}. Leave it out.")


def _export_dataset(run: Path, out: Path, dataset: str | Path | None, annotations: str | Path | None) -> Path:
    """Expand with the run's settings, in label values as nnU-Net wants them."""
    folder = RunFolder(run)
    if not folder.exists:
        raise InputError(f"{run}: no run there, whose settings say how points are grown. Give the folder of a run.")
    if dataset is None:
        raise InputError("--format nnunet: give the dataset that the run was trained on with --dataset.")
    if not _NNUNET_NAME.fullmatch(out.name):
        raise InputError(f"--out {out}: nnU-Net wants folders called like Dataset501_Tumour. Rename it.")
    data = Dataset.open(dataset)
    if data.file_ending not in _NNUNET_ENDINGS:
        raise InputError(
            f"{data.root}: nnU-Net reads {', '.join(_NNUNET_ENDINGS)}, these files end in {data.file_ending}. "
            "Convert them first: copy the images, and import them with voxseed dataset import."
        )
    consecutive = Labels.of_foreground(data.labels.foreground).with_ignore()
    expand(dataset, annotations, read_run_settings(folder.settings_path).expansion, out, labels=consecutive)
    return out
