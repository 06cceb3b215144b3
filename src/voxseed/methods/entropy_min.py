"""Entropy minimisation: partial supervision, and certainty about the rest."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.entropy import EntropyLoss
from voxseed.methods.base import Batch, register_method
from voxseed.methods.regularised import Regularised, RegularisedSettings


class EntropyMinSettings(RegularisedSettings):
    """Partial supervision with entropy minimisation."""

    weight: float = Field(0.1, ge=0, description="Of the mean entropy of unannotated voxels.")


@register_method("entropy-min")
class EntropyMin(Regularised):
    """L_psup plus the mean entropy over valid voxels that nobody annotated (Grandvalet and Bengio 2005)."""

    summary = "Partial supervision, and certainty about unannotated voxels."
    Settings = EntropyMinSettings
    term = "entropy"

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._entropy = EntropyLoss()

    def regulariser(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean entropy, in [0, 1]."""
        loss: Tensor = self._entropy(logits, batch.valid & ~batch.annotated)
        return loss
