"""A model as a MONAI bundle, which MONAI loads and runs without Voxseed.

Network, weights, sliding window, Gaussian weights and averaging of probabilities are the same. MONAI's transforms stand
for the preprocessing: they give the same numbers for an image on the working grid without constant background around
it; elsewhere they resample a little differently, and take background for tissue.
"""

from pathlib import Path
from typing import Any

import monai
import nibabel
import numpy as np
import torch
from torch import nn

from voxseed import __version__
from voxseed.data.normalisation import PERCENTILES, Normalisation
from voxseed.errors import InputError
from voxseed.files import write_json, write_text
from voxseed.inference.model_files import Model
from voxseed.networks.factory import monai_config

WEIGHTS_NAME = "models/model.pt"
_BODY = "body."
_FILE_GLOB = "*.nii.gz"


def write_bundle(folder: Path, model: Model, member: str) -> None:
    """Write a bundle into an empty folder.

    Args:
        folder: of the bundle.
        model: with the network.
        member: name of the network.

    Raises:
        InputError: if the network is not MONAI's alone.
    """
    described = model.description.networks[member]
    channels = model.description.preprocessing.channel_names
    config = monai_config(described.architecture, len(channels), model.labels.class_count, described.arguments)
    if config is None:
        raise InputError(
            f"The network {member} is {described.architecture}, which MONAI does not have as it is, so a bundle "
            "could not run without Voxseed. Export it with --format onnx, or choose another with --member."
        )
    weights = folder / WEIGHTS_NAME
    weights.parent.mkdir(parents=True)
    torch.save(_state_of_monai(model.networks[member], config), weights)
    write_json(folder / "configs" / "inference.json", _inference(model, config))
    write_json(folder / "configs" / "metadata.json", _metadata(model, member))
    write_text(folder / "docs" / "README.md", _readme(model))


def _state_of_monai(network: nn.Module, config: dict[str, Any]) -> dict[str, Any]:
    """The weights under MONAI's names, of which DynUNet has two for some."""
    import monai.networks.nets as nets

    arguments = {key: value for key, value in config.items() if key != "_target_"}
    plain: nn.Module = getattr(nets, config["_target_"])(**arguments)
    state = {
        name.removeprefix(_BODY): tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    missing, unexpected = plain.load_state_dict(state, strict=False)
    parameters = dict(plain.named_parameters(remove_duplicate=False))
    filled = {id(parameters[name]) for name in state.keys() & parameters.keys()}
    if unexpected or any(id(parameters[name]) not in filled for name in missing):
        raise RuntimeError(f"MONAI's {config['_target_']} has other weights: {missing[:3]}, {unexpected[:3]}.")
    return dict(plain.state_dict())


def _inference(model: Model, network: dict[str, Any]) -> dict[str, Any]:
    description = model.description
    keys = [f"channel_{index}" for index in range(len(description.preprocessing.channel_names))]
    return {
        "imports": ["$import glob", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/predictions'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": _datalist(len(keys)),
        "network_def": network,
        "network": "$torch.nn.Sequential(@network_def, torch.nn.Softmax(dim=1)).to(@device).eval()",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(model, keys)},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(description.patch_shape),
            "sw_batch_size": 1,
            "overlap": description.overlap,
            "mode": "gaussian",
            "sigma_scale": 0.125,
            "padding_mode": "constant",
            "cval": 0.0,
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(model)},
        "predicted": "$lambda case: {**case, 'pred': @inferer(case['image'][None].to(@device), @network)[0].cpu()}",
        "initialize": [
            "$torch.set_grad_enabled(False)",
            f"$@network_def.load_state_dict(torch.load(@bundle_root + '/{WEIGHTS_NAME}', weights_only=True))",
        ],
        "run": ["$[@postprocessing(@predicted(case)) for case in @dataset]"],
    }


def _datalist(channel_count: int) -> str:
    """Every file is a case; with several channels, CASE_0000 and those numbered like it."""
    if channel_count == 1:
        return f"$[{{'channel_0': path}} for path in sorted(glob.glob(@dataset_dir + '/{_FILE_GLOB}'))]"
    numbered = ", ".join(f"'channel_{index}': path[:-11] + '{index:04d}.nii.gz'" for index in range(channel_count))
    return f"$[{{{numbered}}} for path in sorted(glob.glob(@dataset_dir + '/*_0000.nii.gz'))]"


def _preprocessing(model: Model, keys: list[str]) -> list[dict[str, Any]]:
    preprocessing = model.description.preprocessing
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": keys, "ensure_channel_first": True},
    ]
    for key, normalisation in zip(keys, preprocessing.normalisations, strict=True):
        transforms += _normalisation(key, normalisation)
    spacing = {"pixdim": list(preprocessing.spacing_mm), "mode": "bilinear", "scale_extent": True}
    # `Invertd` finds the way back in what was done to the image itself, so the channels come together first.
    transforms += [
        {"_target_": "ConcatItemsd", "keys": keys, "name": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", **spacing},
    ]
    return transforms


def _normalisation(key: str, normalisation: Normalisation) -> list[dict[str, Any]]:
    if normalisation.kind == "none":
        return []
    if normalisation.kind == "ct":
        low, high = (
            (bound - normalisation.mean) / normalisation.sd for bound in (normalisation.lower, normalisation.upper)
        )
        window = {"a_min": normalisation.lower, "a_max": normalisation.upper, "b_min": low, "b_max": high, "clip": True}
        return [{"_target_": "ScaleIntensityRanged", "keys": key, **window}]
    lower, upper = PERCENTILES
    return [
        {"_target_": "ClipIntensityPercentilesd", "keys": key, "lower": lower, "upper": upper},
        {"_target_": "NormalizeIntensityd", "keys": key},
    ]


def _postprocessing(model: Model) -> list[dict[str, Any]]:
    labels = model.labels
    indices = list(range(labels.class_count))
    values = [0, *(labels[name] for name in labels.foreground)]
    mapped = (
        []
        if values == indices
        else [{"_target_": "MapLabelValued", "keys": "pred", "orig_labels": indices, "target_labels": values}]
    )
    return [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        *mapped,
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "",
            "separate_folder": False,
            "resample": False,
            "print_log": False,
        },
    ]


def _metadata(model: Model, member: str) -> dict[str, Any]:
    channels = model.description.preprocessing.channel_names
    shape = list(model.description.patch_shape)
    named = dict(enumerate(("background", *model.labels.foreground)))
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": "0.1.0",
        "changelog": {"0.1.0": f"exported by Voxseed {__version__}"},
        "monai_version": monai.__version__.split("+")[0],
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"nibabel": nibabel.__version__},
        "name": f"Voxseed {member}",
        "task": "segmentation",
        "description": f"Segmentation of {', '.join(model.labels.foreground)}. For research, not for diagnosis.",
        "authors": "",
        "copyright": "",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "num_channels": len(channels),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {str(index): name for index, name in enumerate(channels)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "segmentation",
                    "num_channels": model.labels.class_count,
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {str(index): name for index, name in named.items()},
                }
            },
        },
    }


def _readme(model: Model) -> str:
    channels = ", ".join(model.description.preprocessing.channel_names)
    return f"""# {", ".join(model.labels.foreground)}

A MONAI bundle, exported by Voxseed {__version__}. For research, not for diagnosis. Channels: {channels}.

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir OUT

Images are .nii.gz files, one per case; with several channels CASE_0000.nii.gz, CASE_0001.nii.gz and so on. Network,
windows and averaging are those of Voxseed. MONAI's transforms resample a little differently, and know no constant
background around the body. So predictions of images on another spacing than
{model.description.preprocessing.spacing_mm} mm, or with such background, differ a little from those of Voxseed.
"""
