"""Loss terms beside those of any method, by settings alone."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.entropy import EntropyLoss
from voxseed.losses.generalised_cross_entropy import GeneralisedCrossEntropyLoss
from voxseed.losses.mumford_shah import MumfordShahLoss
from voxseed.losses.noise_robust_dice import NoiseRobustDiceLoss
from voxseed.losses.ramp import gaussian_ramp
from voxseed.losses.size import SizeLoss
from voxseed.losses.total_variation import TotalVariationLoss
from voxseed.losses.variance import VarianceLoss
from voxseed.methods.base import Batch, Progress, Terms
from voxseed.methods.crf_term import CRFSettings, CRFTerm
from voxseed.methods.object_volume import VolumeSettings
from voxseed.settings import Settings


class ExtraTermsSettings(Settings):
    """Weights of terms that every trained network gets beside its method's own; one of weight 0 is left out."""

    entropy: float = Field(0.0, ge=0, description="Of the mean entropy of unannotated voxels.")
    total_variation: float = Field(0.0, ge=0, description="Of the total variation per voxel.")
    mumford_shah: float = Field(0.0, ge=0, description="Of the Mumford-Shah functional per voxel.")
    variance: float = Field(0.0, ge=0, description="Of the variance of the intensity in each class.")
    crf: float = Field(0.0, ge=0, description="Of the CRF in three views.")
    noise_robust_dice: float = Field(0.0, ge=0, description="Of the noise-robust Dice of annotated voxels.")
    generalised_cross_entropy: float = Field(
        0.0, ge=0, description="Of the generalised cross-entropy of annotated voxels."
    )
    size: float = Field(0.0, ge=0, description="Of the squared excess over an object's volume; needs boxes or points.")
    size_margin_voxels: int = Field(
        2, ge=0, description="The boxes are so much larger than the objects on each side, on the working grid."
    )
    size_volume: VolumeSettings = VolumeSettings()
    ramp_fraction: float = Field(0.2, ge=0, le=1, description="Share of the stage in which all these weights grow.")

    @property
    def weights(self) -> dict[str, float]:
        """Of the terms that are not left out, by name."""
        return {name: weight for name in _TERMS if (weight := getattr(self, name)) > 0}

    @property
    def needs_boxes(self) -> bool:
        """Whether a term needs a box around every object, from points or boxes."""
        return self.size > 0

    @property
    def oracle(self) -> tuple[str, ...]:
        """What the terms take from dense labels."""
        return self.size_volume.oracle if self.size > 0 else ()


NO_EXTRA_TERMS: Final = ExtraTermsSettings()


class ExtraTerms:
    """Adds terms to what a method has computed, from the logits that its networks gave it in the same step.

    Args:
        networks: those that are trained. Their outputs are noted, so that nothing is computed twice.
        settings: which terms, and how much.
    """

    def __init__(self, networks: nn.ModuleDict, settings: ExtraTermsSettings) -> None:
        self._settings = settings
        self._logits: dict[str, Tensor] = {}
        if settings.weights:
            for name, network in networks.items():
                network.register_forward_hook(partial(self._note, name))

    def add_to(self, terms: Terms, batch: Batch, progress: Progress) -> None:
        """Add the weighted terms of every network that has been asked in this step."""
        ramp = gaussian_ramp(progress.fraction, self._settings.ramp_fraction)
        for network, logits in self._logits.items():
            for name, weight in self._settings.weights.items():
                terms[network][f"extra_{name}"] = ramp * weight * _TERMS[name](logits.float(), batch, self._settings)
        self._logits = {}

    def _note(self, name: str, network: nn.Module, inputs: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():
            self._logits[name] = output


def _entropy(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = EntropyLoss()(logits, batch.valid & ~batch.annotated)
    return loss


def _total_variation(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = TotalVariationLoss()(logits.softmax(dim=1), batch.valid)
    return loss


def _mumford_shah(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = MumfordShahLoss()(logits.softmax(dim=1), batch.image, batch.valid)
    return loss


def _variance(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = VarianceLoss()(logits.softmax(dim=1), batch.image, batch.valid)
    return loss


def _noise_robust_dice(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = NoiseRobustDiceLoss()(logits.softmax(dim=1), batch.target)
    return loss


def _generalised_cross_entropy(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    loss: Tensor = GeneralisedCrossEntropyLoss()(logits, batch.target)
    return loss


def _crf(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    return _CRF(logits, batch)


def _size(logits: Tensor, batch: Batch, settings: ExtraTermsSettings) -> Tensor:
    objects = settings.size_volume.known_objects(batch, settings.size_margin_voxels)
    loss: Tensor = SizeLoss()(logits.softmax(dim=1), objects)
    return loss


_CRF: Final = CRFTerm(CRFSettings())
_TERMS: Final[Mapping[str, Callable[[Tensor, Batch, ExtraTermsSettings], Tensor]]] = {
    "entropy": _entropy,
    "total_variation": _total_variation,
    "mumford_shah": _mumford_shah,
    "variance": _variance,
    "crf": _crf,
    "noise_robust_dice": _noise_robust_dice,
    "generalised_cross_entropy": _generalised_cross_entropy,
    "size": _size,
}
"""By the name of the weight: of logits (B, C, I, J, K), float32, and their batch a scalar, unweighted."""
