"""Mumford-Shah: partial supervision, and classes of one brightness with little border."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.mumford_shah import MumfordShahLoss
from voxseed.methods.base import Batch, register_method
from voxseed.methods.regularised import Regularised, RegularisedSettings


class MumfordShahSettings(RegularisedSettings):
    """Partial supervision with the Mumford-Shah functional."""

    weight: float = Field(0.1, ge=0, description="Of the functional per voxel.")
    variation_weight: float = Field(1e-3, ge=0, description="Eta: of the border within the functional.")


@register_method("mumford-shah")
class MumfordShah(Regularised):
    """L_psup plus the Mumford-Shah functional of the probabilities (Kim and Ye 2019)."""

    summary = "Partial supervision, and classes of one brightness with little border."
    Settings = MumfordShahSettings
    term = "mumford_shah"

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._functional = MumfordShahLoss(settings.variation_weight)

    def regulariser(self, logits: Tensor, batch: Batch) -> Tensor:
        """The functional per valid voxel."""
        loss: Tensor = self._functional(logits.softmax(dim=1), batch.image, batch.valid)
        return loss
