"""The settings of a run: sections of the rooms below, and one section per registered method."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, create_model, field_validator

from voxseed.data.planes import PLANES
from voxseed.data.preprocessing import PreprocessingSettings
from voxseed.methods.base import METHODS
from voxseed.methods.extra_terms import ExtraTermsSettings
from voxseed.settings import Settings, merged, read_yaml, validate, with_overrides
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.training.presets import get_preset


class RecipeSettings(Settings):
    """What is trained in which order."""

    name: str = Field("auto", description="Recipe or method; auto follows from the annotations found.")
    stages: int | None = Field(None, ge=1, description="Stop after this many stages; all if not given.")
    stage_shares: tuple[PositiveFloat, ...] | None = Field(
        None, description="Iterations of each stage as multiples of training.iterations; the recipe's own if not given."
    )


class NetworkSettings(Settings):
    """One network."""

    architecture: str = Field("auto", description="Registered name; auto: unet3d, or unet2.5d for thick slices.")
    width: int = Field(16, ge=2, description="Channels of the first level; doubled at every level below.")
    arguments: dict[str, Any] = Field(
        default={}, description="Further arguments of the architecture, in place of planned ones; see its page."
    )


class AugmentationSettings(Settings):
    """Random changes of a patch, the same for all rows of a table."""

    flip_axes: tuple[Literal[0, 1, 2], ...] = Field(
        (0, 1, 2), description="Array axes (R-L, A-P, I-S) that are flipped with probability one half."
    )
    zoom: float = Field(
        0.25, ge=0, lt=1, description="Patches are enlarged or reduced by up to this share, the same along all axes."
    )
    intensity_scale: float = Field(0.1, ge=0, lt=1, description="Contrast is multiplied by 1 plus or minus up to this.")
    intensity_shift: float = Field(0.1, ge=0, description="Up to this is added, in standard deviations of the case.")


class OptimiserSettings(Settings):
    """One optimiser, one parameter group per network."""

    name: Literal["sgd", "adam", "adamw"] = Field(
        "adamw", description="sgd has Nesterov momentum, as in PA-Seg; adam adds weight decay to the gradient."
    )
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.99, ge=0, lt=1, description="Of sgd.")
    weight_decay: float = Field(3e-5, ge=0)
    schedule: Literal["polynomial", "cosine"] = Field(
        "polynomial", description="How the rate falls over the stage; cosine: half a period, to 0."
    )
    polynomial_power: float = Field(0.9, ge=0, description="Rate times (1 - fraction of the stage) to this power.")
    warmup_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of the stage in which the rate first rises linearly from 0."
    )
    clip_norm: float = Field(12.0, gt=0, description="Largest gradient norm of each network.")


class TrainingSettings(Settings):
    """The loop."""

    iterations: PositiveInt | Literal["auto"] = Field("auto", description="Optimiser steps of the first stage.")
    epoch_length: int = Field(50, ge=1, description="Steps between two checkpoints and lines of metrics.csv.")
    batch_size: int = Field(1, ge=1, description="Patches per step and device.")
    patch_shape: tuple[PositiveInt, PositiveInt, PositiveInt] | Literal["auto"] = Field(
        "auto", description="Voxels of the working grid."
    )
    foreground_share: float = Field(0.67, ge=0, le=1, description="Share of patches that hold a foreground seed.")
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 where the device is faster so.")
    workers: NonNegativeInt | Literal["auto"] = Field(
        "auto", description="Processes that read patches; auto: none on CPU."
    )
    select: Literal["last", "dense"] = Field(
        "last", description="Weights that are kept: the last, or the best on dense labels of the validation cases."
    )


class InferenceSettings(Settings):
    """Sliding window."""

    overlap: float = Field(0.5, ge=0, lt=1, description="Share of a window that the next one covers again.")


DEFAULT_NETWORKS: dict[str, NetworkSettings] = {
    "primary": NetworkSettings(),
    "auxiliary": NetworkSettings(architecture="attention-unet"),
    "second": NetworkSettings(),
    "third": NetworkSettings(),
    **{plane: NetworkSettings(architecture="unet2d") for plane in reversed(PLANES)},
}


class RunSettings(Settings):
    """The sections that every run has; `run_settings_type` adds those of the methods."""

    recipe: RecipeSettings = RecipeSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    expansion: ExpansionSettings = ExpansionSettings()
    networks: dict[str, NetworkSettings] = Field(default=DEFAULT_NETWORKS)
    augmentation: AugmentationSettings = AugmentationSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    extra_terms: ExtraTermsSettings = ExtraTermsSettings()
    training: TrainingSettings = TrainingSettings()
    inference: InferenceSettings = InferenceSettings()

    @field_validator("networks")
    @classmethod
    def _require_known_members(cls, networks: dict[str, NetworkSettings]) -> dict[str, NetworkSettings]:
        known = {member for name in METHODS.names() for member in METHODS.get(name).members}
        unknown = sorted(networks.keys() - known)
        if unknown:
            raise ValueError(f"no method has a network {unknown[0]!r}; known: {', '.join(sorted(known))}")
        return networks

    def of_method(self, method: str) -> Settings:
        """The section of a registered method."""
        section: Settings = getattr(self, section_name(method))
        return section


@lru_cache(maxsize=1)
def run_settings_type() -> type[RunSettings]:
    """The class of a whole run's settings, with a section for every registered method."""
    sections: dict[str, Any] = {
        section_name(name): (METHODS.get(name).Settings, METHODS.get(name).Settings()) for name in METHODS.names()
    }
    return create_model("RunSettings", __base__=RunSettings, **sections)


def section_name(method: str) -> str:
    """Section of a method: stage-one → stage_one."""
    return method.replace("-", "_")


def load_run_settings(
    preset: str | None = None, config: Path | None = None, overrides: Sequence[str] = ()
) -> RunSettings:
    """Defaults, changed by a preset, then by a settings file, then by assignments.

    Args:
        overrides: "section.key=value", values as YAML.

    Raises:
        InputError: names the wrong setting, what was found and what is allowed.
        UnknownNameError: if the preset is not known.
    """
    kind = run_settings_type()
    values = merged(kind().model_dump(mode="json"), get_preset(preset).values if preset else {})
    if config is not None:
        values = merged(values, read_yaml(config))
        # So that a mistake in the file is reported as the file's.
        validate(kind, values, str(config))
    return validate(kind, with_overrides(values, list(overrides)), "--set" if overrides else "settings")


def read_run_settings(path: Path) -> RunSettings:
    """The settings.yaml of a run.

    Raises:
        InputError: if it is missing or has settings that this version does not know.
    """
    return validate(run_settings_type(), read_yaml(path), str(path))
