"""Total variation: partial supervision, and little border."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.total_variation import TotalVariationLoss
from voxseed.methods.base import Batch, register_method
from voxseed.methods.regularised import Regularised, RegularisedSettings


class TotalVariationSettings(RegularisedSettings):
    """Partial supervision with total variation."""

    weight: float = Field(0.01, ge=0, description="Of the total variation per voxel.")


@register_method("total-variation")
class TotalVariation(Regularised):
    """L_psup plus the L1 norm of the gradient of the probabilities (Javanmardi et al. 2016)."""

    summary = "Partial supervision, and little border of what is predicted."
    Settings = TotalVariationSettings
    term = "variation"

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._variation = TotalVariationLoss()

    def regulariser(self, logits: Tensor, batch: Batch) -> Tensor:
        """Total variation per valid voxel."""
        loss: Tensor = self._variation(logits.softmax(dim=1), batch.valid)
        return loss
