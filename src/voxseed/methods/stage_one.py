"""Stage one of PA-Seg: partial supervision and contextual regularisation of unannotated voxels."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.ramp import gaussian_ramp
from voxseed.losses.variance import VarianceLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.crf_term import CRFSettings, CRFTerm
from voxseed.methods.partial import PartialLossSettings
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class StageOneSettings(Settings):
    """First stage of PA-Seg (Eq. 11)."""

    crf_weight: float = Field(0.1, ge=0, description="Alpha; 1.0 in the paper, with its sigma_x.")
    variance_weight: float = Field(0.3, ge=0, description="Beta; 0.1 in the paper.")
    ramp_fraction: float = Field(
        0.2, ge=0, le=1, description="Share of the stage in which both weights grow; 0.1, of a longer one, in PA-Seg."
    )
    crf: CRFSettings = CRFSettings()
    partial: PartialLossSettings = PartialLossSettings()


@register_method("stage-one")
class StageOne(Method):
    """L_psup + alpha L_mcrf + beta L_vm (Zhai et al. 2023, Eq. 11), for every network on its own."""

    needs = SupervisionKind.PARTIAL
    summary = "First stage of pa-seg: partial supervision with multi-view CRF and variance minimisation."
    Settings = StageOneSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._partial = settings.partial.build()
        self._variance = VarianceLoss()
        self._crf = CRFTerm(settings.crf)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Three terms per network; a regulariser of weight 0 is left out."""
        ramp = gaussian_ramp(progress.fraction, self.settings.ramp_fraction)
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            partial = self._partial(logits, batch.target, batch.absent)
            terms[name] = {"partial": partial, **self.regularisers(logits, batch, ramp)}
        return terms

    def regularisers(self, logits: Tensor, batch: Batch, ramp: float) -> dict[str, Tensor]:
        """Weighted contextual terms; one of weight 0 is left out.

        Args:
            logits: (B, C, I, J, K).
            ramp: factor of both weights, in [0, 1].
        """
        settings = self.settings
        terms = {}
        if settings.crf_weight > 0:
            terms["crf"] = ramp * settings.crf_weight * self._crf(logits, batch)
        if settings.variance_weight > 0:
            variance = self._variance(logits.float().softmax(dim=1), batch.image, batch.valid)
            terms["variance"] = ramp * settings.variance_weight * variance
        return terms
