"""Deep mutual learning: two networks learn one label, and to agree with each other."""

from typing import Any

from pydantic import Field
from torch import nn

from voxseed.losses.distillation import DistillationLoss
from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.methods.base import Batch, Progress, Terms, register_method
from voxseed.methods.second_stage import SecondStage
from voxseed.settings import Settings


class MutualSettings(Settings):
    """Deep mutual learning."""

    mutual_weight: float = Field(1.0, ge=0, description="Of the divergence from the other network.")
    keep_annotated: bool = Field(True, description="Annotated voxels keep their label.")


@register_method("mutual")
class DeepMutualLearning(SecondStage):
    """Of each network: CE with the label, and KL(other || own) at temperature 1 (Zhang et al. 2018).

    The label is the argmax of the mean of both networks as the stage began, or what a tool labelled.
    """

    members = ("primary", "auxiliary")
    summary = "Two trained networks learn the label of their ensemble, and to agree with each other."
    Settings = MutualSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._cross_entropy = PartialCrossEntropyLoss()
        self._divergence = DistillationLoss(temperature=1.0)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms of both networks."""
        label, _ = self.label(batch)
        logits = {name: network(batch.image) for name, network in self.networks.items()}
        return {
            name: {
                "cross_entropy": self._cross_entropy(own, label),
                "mutual": self.settings.mutual_weight * self._divergence(own, other, batch.valid),
            }
            for (name, own), other in zip(logits.items(), reversed(logits.values()), strict=True)
        }
