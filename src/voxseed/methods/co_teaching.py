"""Co-teaching: each of two networks picks the labels with small losses, and the other learns from them."""

from typing import Any

import torch
from pydantic import Field
from torch import nn

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Progress, Terms, register_method
from voxseed.methods.second_stage import SecondStage
from voxseed.methods.small_loss import kept_share, small_loss_voxels
from voxseed.settings import Settings
from voxseed.types import IGNORE


class CoTeachingSettings(Settings):
    """Co-teaching."""

    noise_share: float = Field(0.15, ge=0, lt=1, description="Tau: of the labels that are taken to be wrong.")
    ramp_fraction: float = Field(
        0.1, ge=0, le=1, description="Share of the stage in which the kept share falls from 1 to 1 - tau."
    )
    keep_annotated: bool = Field(True, description="Annotated voxels keep their label and are never left out.")


@register_method("co-teaching")
class CoTeaching(SecondStage):
    """(CE + Dice) / 2 of each network on the voxels whose label the other finds easy (Han et al. 2018).

    The label is the argmax of the mean of both networks as the stage began, or what a tool labelled.
    """

    members = ("primary", "auxiliary")
    summary = "Two trained networks pass the labels with small losses to each other."
    Settings = CoTeachingSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = PartialSupervisionLoss()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term of both networks."""
        settings = self.settings
        label, certain = self.label(batch)
        doubtful = (label != IGNORE) & ~certain
        share = kept_share(progress.fraction, settings.noise_share, settings.ramp_fraction)
        logits = {name: network(batch.image) for name, network in self.networks.items()}
        picked = {name: certain | small_loss_voxels(each, label, doubtful, share) for name, each in logits.items()}
        return {
            name: {"co_teaching": self._loss(own, torch.where(of_other, label, IGNORE))}
            for (name, own), of_other in zip(logits.items(), reversed(picked.values()), strict=True)
        }
