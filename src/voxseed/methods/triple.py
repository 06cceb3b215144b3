"""Three networks: two judge the labels that the third learns from, and correct them."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Progress, Terms, register_method
from voxseed.methods.pseudo_labels import without_absent
from voxseed.methods.second_stage import SecondStage
from voxseed.methods.small_loss import kept_share, small_loss_voxels
from voxseed.settings import Settings
from voxseed.types import IGNORE


class TripleSettings(Settings):
    """Three networks that select and correct labels for each other."""

    noise_share: float = Field(0.15, ge=0, lt=1, description="Tau: of the labels that are taken to be wrong.")
    ramp_fraction: float = Field(
        0.1, ge=0, le=1, description="Share of the stage in which the share of low losses falls from 1 to 1 - tau."
    )
    confidence: float = Field(
        0.9, ge=0, le=1, description="Mean probability of both peers, from which they correct a label."
    )
    keep_annotated: bool = Field(True, description="Annotated voxels keep their label and are never left out.")


@register_method("triple")
class Triple(SecondStage):
    """(CE + Dice) / 2 of each network on labels that its two peers find easy or correct (Xue et al. 2020).

    The label is the argmax of the mean of all networks as the stage began, or what a tool labelled.
    """

    members = ("primary", "second", "third")
    summary = "Three trained networks select and correct labels for each other."
    Settings = TripleSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = PartialSupervisionLoss()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term of every network."""
        settings = self.settings
        label, certain = self.label(batch)
        doubtful = (label != IGNORE) & ~certain
        share = kept_share(progress.fraction, settings.noise_share, settings.ramp_fraction)
        logits = {name: network(batch.image) for name, network in self.networks.items()}
        easy = {name: small_loss_voxels(each, label, doubtful, share) for name, each in logits.items()}
        probabilities = {name: each.detach().float().softmax(dim=1) for name, each in logits.items()}
        terms: Terms = {}
        for name, own in logits.items():
            first, second = (peer for peer in logits if peer != name)
            mean = without_absent((probabilities[first] + probabilities[second]) / 2, batch)
            corrected = corrected_label(label, certain | (easy[first] & easy[second]), mean, settings.confidence)
            terms[name] = {"triple": self._loss(own, corrected)}
        return terms


def corrected_label(label: Tensor, clean: Tensor, probabilities: Tensor, confidence: float) -> Tensor:
    """The label where it is clean, else the most probable class where that is confident, else IGNORE.

    Args:
        label: (B, 1, I, J, K), class indices; stays IGNORE where it is.
        clean: (B, 1, I, J, K), bool.
        probabilities: (B, C, I, J, K), of the peers.
        confidence: least probability of a correction.
    """
    probability, replacement = probabilities.max(dim=1, keepdim=True)
    otherwise = torch.where((probability >= confidence) & (label != IGNORE), replacement, IGNORE)
    return torch.where(clean, label, otherwise)
