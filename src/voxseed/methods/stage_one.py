"""Stage one of PA-Seg: partial supervision and contextual regularisation of unannotated voxels."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.crf import MultiViewCRFLoss
from voxseed.losses.crf_window import View
from voxseed.losses.ramp import gaussian_ramp
from voxseed.losses.variance import VarianceLoss
from voxseed.losses.working_grid import to_working_grid
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.partial import PartialLossSettings
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.types import Shape3, Spacing

_THICK = 2.0
"""Spacing over the finest, above which an axis keeps its resolution on the working grid."""
_LEAST_NOISE = 1e-3


class CRFSettings(Settings):
    """Multi-view CRF loss (PA-Seg Eq. 6 to 8)."""

    radius_voxels: tuple[int, int, int] = Field((5, 5, 5), description="Of the window, on the working grid.")
    sigma_r_voxels: float = Field(6.0, gt=0, description="Of the distance between two voxels, on the working grid.")
    sigma_x: Annotated[float, Field(gt=0)] | Literal["noise"] = Field(
        0.3, description="Of the intensity difference; noise: noise_factor times the case's own; 0.1 in the paper."
    )
    noise_factor: float = Field(
        2.0, gt=0, description="Times the median intensity step between neighbours inside the foreground seeds."
    )
    normalised: bool = Field(
        False, description="Divide by the sum of weights, so that alpha means the same at any sigma."
    )
    views: tuple[View, ...] = Field(("axial", "coronal", "sagittal"), description="Slices in which windows lie.")
    grid_factors: tuple[int, int, int] | Literal["auto"] = Field(
        "auto", description="Working grid: so many voxels become one; auto: 2, but 1 along thick slices."
    )
    pair_weight: float = Field(0.5, gt=0, description="Of a pair of voxels; 1 in the released program.")


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
        crf = settings.crf
        self._partial = settings.partial.build()
        self._variance = VarianceLoss()
        self._crf = MultiViewCRFLoss(
            radius=crf.radius_voxels,
            sigma_r_voxels=crf.sigma_r_voxels,
            views=crf.views,
            normalised=crf.normalised,
            pair_weight=crf.pair_weight,
        )

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
            terms["crf"] = ramp * settings.crf_weight * self._crf_loss(logits, batch)
        if settings.variance_weight > 0:
            variance = self._variance(logits.float().softmax(dim=1), batch.image, batch.valid)
            terms["variance"] = ramp * settings.variance_weight * variance
        return terms

    def _crf_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        crf = self.settings.crf
        sigma_x, valid = crf.sigma_x, batch.valid
        if sigma_x == "noise":
            # A case without foreground seeds has no noise estimate, and no say in this term.
            valid = valid & batch.noise.isfinite().view(-1, 1, 1, 1, 1)
            sigma_x = crf.noise_factor * batch.noise.nan_to_num(nan=1.0).clamp(min=_LEAST_NOISE)
        factors = crf.grid_factors
        if factors == "auto":
            factors = working_grid_factors(batch.spacing_mm, batch.image.shape[2:])
        coarse_logits, image, valid = to_working_grid(logits.float(), batch.image, valid, factors)
        return self._crf(coarse_logits.softmax(dim=1), image, valid, sigma_x)


def working_grid_factors(spacing_mm: Spacing, shape: Sequence[int]) -> Shape3:
    """Half resolution, but full along thick slices and where the number of voxels is odd.

    The papers: half in every axis for glioma, in-plane only for schwannoma.
    """
    factors = [
        2 if spacing <= _THICK * min(spacing_mm) and size % 2 == 0 else 1
        for spacing, size in zip(spacing_mm, shape, strict=True)
    ]
    return (factors[0], factors[1], factors[2])
