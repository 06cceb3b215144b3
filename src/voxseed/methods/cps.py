"""Cross pseudo supervision: each of two networks learns from what the other says now."""

from typing import Any, Self

from pydantic import Field, model_validator
from torch import nn

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.pseudo_labels import pseudo_label
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class CPSSettings(Settings):
    """Cross pseudo supervision."""

    supervised_weight: float = Field(1.0, ge=0, description="Of the annotated voxels.")
    cross_weight: float = Field(1.0, ge=0, description="Of the other network's pseudo labels.")
    ramp_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the stage in which cross_weight grows; 0 if the networks are trained already.",
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.supervised_weight == 0 and self.cross_weight == 0:
            raise ValueError("supervised_weight and cross_weight are both 0, so nothing would be learned")
        return self


@register_method("cps")
class CrossPseudoSupervision(Method):
    """Of each network: L_psup on annotated voxels, and (CE + Dice) / 2 with the other's argmax (Chen et al. 2021).

    From random weights it needs the annotations and the ramp. As a second stage, from networks that were trained
    already, it can do without both.
    """

    needs = SupervisionKind.PARTIAL
    members = ("primary", "auxiliary")
    summary = "Two networks learn from annotated voxels and from each other's pseudo labels."
    Settings = CPSSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = PartialSupervisionLoss()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms of both networks; one of weight 0 is left out."""
        settings = self.settings
        cross_weight = gaussian_ramp(progress.fraction, settings.ramp_fraction) * settings.cross_weight
        logits = {name: network(batch.image) for name, network in self.networks.items()}
        labels = {name: pseudo_label(each.detach(), batch) for name, each in logits.items()}
        terms: Terms = {name: {} for name in logits}
        for (name, own), other in zip(logits.items(), reversed(labels.values()), strict=True):
            if settings.supervised_weight > 0:
                terms[name]["partial"] = settings.supervised_weight * self._loss(own, batch.target, batch.absent)
            if cross_weight > 0:
                terms[name]["cross"] = cross_weight * self._loss(own, other)
        return terms
