"""A model as an ONNX file, which any ONNX runtime runs on windows of a preprocessed image."""

import warnings
from pathlib import Path

import torch
from torch import nn

from voxseed.errors import InputError
from voxseed.files import write_json
from voxseed.inference.model_files import Model

MODEL_NAME = "model.onnx"
DESCRIPTION_NAME = "model.json"


def write_onnx(folder: Path, model: Model, member: str) -> None:
    """Write model.onnx and model.json into an empty folder.

    The graph maps `image` (B, M, *patch_shape) float32, as the preprocessing gives it, to `probabilities`
    (B, C, *patch_shape); B is free. What else a program needs to know is in model.json: preprocessing, patch shape,
    overlap, labels.

    Args:
        folder: of the files.
        model: with the network.
        member: name of the network.

    Raises:
        InputError: if the packages for it are not installed.
    """
    _require_onnx()
    description = model.description
    network = nn.Sequential(model.networks[member].get_submodule("body"), nn.Softmax(dim=1)).eval()
    example = torch.zeros(2, len(description.preprocessing.channel_names), *description.patch_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about the exporter, for those who maintain it
        torch.onnx.export(
            network,
            (example,),
            folder / MODEL_NAME,
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
            external_data=False,
            verbose=False,
        )
    kept = description.model_dump(mode="json", include={"labels", "preprocessing", "patch_shape", "overlap"})
    write_json(folder / DESCRIPTION_NAME, {"network": description.networks[member].architecture, **kept})


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"--format onnx: needs the package {error.name}. Install it with pip install 'voxseed[onnx]'."
        ) from None
