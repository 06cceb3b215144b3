"""Gated CRF: partial cross-entropy and a windowed CRF in the slices of one view, the usual baseline of scribbles."""

from typing import Any

from pydantic import Field
from torch import nn

from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.crf_term import CRFSettings, CRFTerm
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class GatedCRFSettings(Settings):
    """Partial cross-entropy with a 2D windowed CRF."""

    weight: float = Field(0.1, ge=0, description="Of the CRF.")
    ramp_fraction: float = Field(0.2, ge=0, le=1, description="Share of the stage in which the weight grows.")
    crf: CRFSettings = CRFSettings(views=("axial",), grid_factors=(1, 1, 1))


@register_method("gated-crf")
class GatedCRF(Method):
    """Cross-entropy of annotated voxels plus a windowed CRF in slices of one view (Obukhov et al. 2019)."""

    needs = SupervisionKind.PARTIAL
    summary = "Cross-entropy on annotated voxels, and a CRF in axial slices: the usual baseline of scribbles."
    Settings = GatedCRFSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._cross_entropy = PartialCrossEntropyLoss()
        self._crf = CRFTerm(settings.crf)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms per network; a CRF of weight 0 is left out."""
        weight = gaussian_ramp(progress.fraction, self.settings.ramp_fraction) * self.settings.weight
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            terms[name] = {"cross_entropy": self._cross_entropy(logits, batch.target)}
            if weight > 0:
                terms[name]["crf"] = weight * self._crf(logits, batch)
        return terms
