"""Partial supervision alone: the baseline of every table."""

from typing import Any, Literal

from pydantic import Field
from torch import nn

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class PartialLossSettings(Settings):
    """Cross-entropy and Dice on annotated voxels (PA-Seg Eq. 3 to 5)."""

    reduction: Literal["half-sum", "sum"] = Field("half-sum", description="sum: as in the released program.")
    squared_dice: bool = Field(True, description="False: as in the released program.")
    include_background: bool = Field(False, description="True: as in the released program.")

    def build(self) -> PartialSupervisionLoss:
        """The loss."""
        return PartialSupervisionLoss(self.reduction, self.squared_dice, self.include_background)


@register_method("partial")
class Partial(Method):
    """L_psup on what the annotation gives (Zhai et al. 2023, Eq. 3), nothing on the rest."""

    needs = SupervisionKind.PARTIAL
    summary = "Cross-entropy and Dice on annotated voxels, nothing on the rest."
    Settings = PartialLossSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = settings.build()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term per network."""
        return {
            name: {"partial": self._loss(network(batch.image), batch.target, batch.absent)}
            for name, network in self.networks.items()
        }
