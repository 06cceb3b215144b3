"""The multi-view CRF as a term of a method: its settings, its coarse grid, and what it knows of noise."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from voxseed.losses.coarse_grid import to_coarse_grid
from voxseed.losses.crf import MultiViewCRFLoss
from voxseed.losses.crf_window import View
from voxseed.methods.base import Batch
from voxseed.settings import Settings
from voxseed.types import Shape3, Spacing

_THICK = 2.0
"""Spacing over the finest, above which an axis keeps its resolution on the coarse grid."""
_LEAST_NOISE = 1e-3


class CRFSettings(Settings):
    """Multi-view CRF loss (PA-Seg Eq. 6 to 8)."""

    radius_voxels: tuple[int, int, int] = Field((5, 5, 5), description="Of the window, on the coarse grid.")
    sigma_r_voxels: float = Field(6.0, gt=0, description="Of the distance between two voxels, on the coarse grid.")
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
        "auto", description="Coarse grid: so many voxels become one; auto: 2, but 1 along thick slices."
    )
    pair_weight: float = Field(0.5, gt=0, description="Of a pair of voxels; 1 in the released program.")


class CRFTerm:
    """The loss with its settings, for the logits of a batch."""

    def __init__(self, settings: CRFSettings) -> None:
        self._settings = settings
        self._loss = MultiViewCRFLoss(
            radius=settings.radius_voxels,
            sigma_r_voxels=settings.sigma_r_voxels,
            views=settings.views,
            normalised=settings.normalised,
            pair_weight=settings.pair_weight,
        )

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Scalar, unweighted.

        Args:
            logits: (B, C, I, J, K).
        """
        settings, valid = self._settings, batch.valid
        sigma_x: float | Tensor | str = settings.sigma_x
        if sigma_x == "noise":
            # A case without foreground seeds has no noise estimate, and no say in this term.
            valid = valid & batch.noise.isfinite().view(-1, 1, 1, 1, 1)
            sigma_x = settings.noise_factor * batch.noise.nan_to_num(nan=1.0).clamp(min=_LEAST_NOISE)
        factors = settings.grid_factors
        if factors == "auto":
            factors = coarse_grid_factors(batch.spacing_mm, batch.image.shape[2:])
        coarse_logits, image, valid = to_coarse_grid(logits.float(), batch.image, valid, factors)
        return self._loss(coarse_logits.softmax(dim=1), image, valid, sigma_x)


def coarse_grid_factors(spacing_mm: Spacing, shape: Sequence[int]) -> Shape3:
    """Half resolution, but full along thick slices and where the number of voxels is odd.

    The papers: half in every axis for glioma, in-plane only for schwannoma.
    """
    factors = [
        2 if spacing <= _THICK * min(spacing_mm) and size % 2 == 0 else 1
        for spacing, size in zip(spacing_mm, shape, strict=True)
    ]
    return (factors[0], factors[1], factors[2])
