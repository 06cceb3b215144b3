"""Presets: named changes of the default settings."""

from dataclasses import dataclass
from typing import Any

from voxseed.errors import UnknownNameError
from voxseed.settings import merged


@dataclass(frozen=True)
class Preset:
    """Nested values that replace defaults, and what they are for."""

    summary: str
    values: dict[str, Any]


_REGULARISED = ("size_loss", "mumford_shah", "entropy_min", "total_variation")
_RELEASED_PARTIAL = {"reduction": "sum", "squared_dice": False, "include_background": True}

_PAPER: dict[str, Any] = {
    "expansion": {"growth": "one-sided", "epsilon": 0.2, "gradient_weight": 1.0, "combine": "sum", "smoothing": 0.0},
    "networks": {
        "primary": {"architecture": "unet3d", "width": 16},
        "auxiliary": {"architecture": "attention-unet", "width": 16},
    },
    "optimiser": {
        "name": "sgd",
        "learning_rate": 1e-2,
        "momentum": 0.99,
        "weight_decay": 3e-5,
        "polynomial_power": 0.9,
    },
    "training": {"batch_size": 1, "foreground_share": 0.0},
    "augmentation": {"flip_axes": [0, 1, 2], "zoom": 0.0, "intensity_scale": 0.0, "intensity_shift": 0.0},
    **{method: {"keep_annotated": False} for method in ("scm", "co_teaching", "self_ensembling", "triple", "mutual")},
    **{method: {"ramp_fraction": 0.1} for method in (*_REGULARISED, "gated_crf")},
    "stage_one": {
        "crf_weight": 1.0,
        "variance_weight": 0.1,
        "ramp_fraction": 0.1,
        "crf": {"sigma_x": 0.1, "sigma_r_voxels": 6.0, "normalised": False, "grid_factors": [2, 2, 2]},
    },
}

_PAPER_GLIOMA = merged(
    _PAPER,
    {
        "training": {"iterations": 500 * 244, "epoch_length": 244, "patch_shape": [128, 128, 128]},
        "recipe": {"stage_shares": [1.0, 0.2]},
    },
)

_PAPER_PW4MEDSEG: dict[str, Any] = {
    "expansion": {"probability": {"sigma_mm": 10.0, "normalised_per": "volume"}},
    "networks": {
        "primary": {"architecture": "probabilistic-unetr", "width": 16, "arguments": {"attention": "additive"}}
    },
    "optimiser": {
        "name": "adamw",
        "learning_rate": 1e-4,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "warmup_fraction": 0.05,
    },
    "training": {"patch_shape": [96, 96, 96]},
}

PRESETS = {
    "default": Preset("Fits itself to spacing, shape and device.", {}),
    "small": Preset(
        "For a laptop's CPU: networks half as wide, 400 iterations.",
        {
            "networks": {member: {"width": 8} for member in ("primary", "auxiliary", "axial", "coronal", "sagittal")},
            "training": {"iterations": 400},
        },
    ),
    "paper-vs": Preset(
        "As published for vestibular schwannoma: 2.5D U-Net, 300 and 100 epochs of 176 patches of 128 × 128 × 48.",
        merged(
            _PAPER,
            {
                "networks": {"primary": {"architecture": "unet2.5d"}},
                "training": {"iterations": 300 * 176, "epoch_length": 176, "patch_shape": [128, 128, 48]},
                "stage_one": {"crf": {"grid_factors": [2, 2, 1]}},
                "recipe": {"stage_shares": [1.0, 1 / 3]},
            },
        ),
    ),
    "paper-glioma": Preset(
        "As published for glioma: 3D U-Net, 500 and 100 epochs of 244 patches of 128 × 128 × 128.", _PAPER_GLIOMA
    ),
    "released": Preset(
        "As paper-glioma, with the losses of the paper's released program: CE plus Dice unhalved and unsquared "
        "with background, CRF pairs counted whole, growth with lambda 0.5.",
        merged(
            _PAPER_GLIOMA,
            {
                "expansion": {"gradient_weight": 0.5},
                "stage_one": {"crf": {"pair_weight": 1.0}, "partial": _RELEASED_PARTIAL},
                "partial": _RELEASED_PARTIAL,
                "full": _RELEASED_PARTIAL,
                **{method: {"partial": _RELEASED_PARTIAL} for method in _REGULARISED},
            },
        ),
    ),
    "paper-cross-teaching": Preset(
        "As published for cross-teaching on MMWHS: V-Net and 2D U-Nets, 6,000 patches of 176 × 176 × 96.",
        {
            "networks": {
                "primary": {"architecture": "vnet", "width": 16},
                **{plane: {"architecture": "unet2d", "width": 64} for plane in ("axial", "coronal", "sagittal")},
            },
            "optimiser": {
                "name": "adam",
                "learning_rate": 1e-3,
                "weight_decay": 1e-4,
                "polynomial_power": 0.0,
            },
            "training": {
                "iterations": 6000,
                "epoch_length": 100,
                "batch_size": 1,
                "patch_shape": [176, 176, 96],
                "foreground_share": 0.0,
            },
            "augmentation": {"flip_axes": [], "zoom": 0.0, "intensity_scale": 0.0, "intensity_shift": 0.0},
        },
    ),
    "paper-pw4medseg": Preset(
        "As published for PW4MedSeg: probabilistic UNETR, patches of 96 × 96 × 96, points smeared by 10 mm; "
        "length and warm-up are ours.",
        _PAPER_PW4MEDSEG,
    ),
    "released-pw4medseg": Preset(
        "As paper-pw4medseg, with the focal loss that its released program has by default.",
        merged(_PAPER_PW4MEDSEG, {"pw4medseg": {"loss": "focal"}}),
    ),
}


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: lists the known ones.
    """
    if name not in PRESETS:
        raise UnknownNameError(f"Unknown preset {name!r}. Known: {', '.join(PRESETS)}.")
    return PRESETS[name]
