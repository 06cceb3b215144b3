"""Partial supervision: cross-entropy and Dice over the annotated voxels only."""

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.shapes import (
    SPACE,
    at_least_float32,
    mean_over_samples,
    require_channels,
    require_same_space,
    voxel_counts,
)
from voxseed.types import IGNORE

_LEAST_SUM: Final = 1e-6
"""Of weights; a sum of nothing is divided by this instead of by 0."""


@register_loss("partial")
class PartialSupervisionLoss(nn.Module):
    """Cross-entropy and Dice over annotated voxels. On a fully annotated target: the usual dense CE + Dice.

    Zhai et al. 2023 (PA-Seg), Eq. 3 to 5. Per sample, then the mean over the samples that have an annotated voxel;
    a sample without one contributes exactly nothing. Dice is the mean over the foreground classes that occur among
    the sample's annotated voxels; a class that does not occur says nothing about itself, unless `absent` says that
    the whole case is free of it.

    Args:
        reduction: "half-sum", (CE + Dice) / 2 as in Eq. 3, or "sum" as in the paper's released program.
        squared_dice: squares in Dice's denominator, as in Eq. 5; the released program has none.
        include_background: count class 0 in Dice as well, as the released program does.
        absent_share: an absent class costs one half where it is predicted on this share of the annotated voxels.

    Forward args:
        logits: (B, C, I, J, K), before softmax. Unannotated voxels are left out after the softmax.
        target: (B, 1, I, J, K), integer class indices; IGNORE (255) where unannotated, which includes padding.
        absent: (B, C) bool or None; True where the annotation says that the class does not occur in the case.
        weights: (B, 1, I, J, K), > 0 or None; how much an annotated voxel counts in every sum, 1 if not given. Both
            terms are divided by sums of weights, so weights that are all the same change nothing.

    Returns:
        Scalar >= 0.

    Raises:
        ShapeError: if the tensors do not fit together.

    Example:
        In a training step of MONAI or nnU-Net, with a label map whose unannotated voxels are 255:

        >>> loss = PartialSupervisionLoss()(network(batch["image"]), batch["label"])
    """

    def __init__(
        self,
        reduction: Literal["half-sum", "sum"] = "half-sum",
        squared_dice: bool = True,
        include_background: bool = False,
        absent_share: float = 0.01,
    ) -> None:
        super().__init__()
        if reduction not in ("half-sum", "sum"):
            raise ValueError(f"reduction: expected 'half-sum' or 'sum', found {reduction!r}.")
        if not 0 < absent_share <= 1:
            raise ValueError(f"absent_share: expected a number in (0, 1], found {absent_share}.")
        self.scale = 0.5 if reduction == "half-sum" else 1.0
        self.power = 2 if squared_dice else 1
        self.first_class = 0 if include_background else 1
        self.absent_share = absent_share

    def forward(
        self, logits: Tensor, target: Tensor, absent: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        require_same_space(logits=logits, target=target)
        require_channels(1, target=target)
        log_probabilities = F.log_softmax(at_least_float32(logits), dim=1)
        annotated = target != IGNORE
        if weights is not None:
            require_same_space(logits=logits, weights=weights)
            require_channels(1, weights=weights)
            annotated = annotated * weights
        total = _sums(annotated).squeeze(1)
        cross_entropy = cross_entropy_per_sample(log_probabilities, target, total, weights)
        dice = self._dice(log_probabilities.exp(), target, annotated, total, absent)
        return mean_over_samples(self.scale * (cross_entropy + dice), total > 0)

    def _dice(
        self, probabilities: Tensor, target: Tensor, weights: Tensor, total: Tensor, absent: Tensor | None
    ) -> Tensor:
        """Dice loss per sample: (B,). `weights` are 0 on unannotated voxels, `total` (B,) is their sum."""
        classes = torch.arange(probabilities.shape[1], device=target.device)
        truth = (target == classes[:, None, None, None]) * weights
        size = _sums(truth)
        overlap = (probabilities * truth).sum(dim=SPACE)
        mass = (probabilities.pow(self.power) * weights).sum(dim=SPACE)
        occurs = size > 0
        terms = torch.where(occurs, 1 - 2 * overlap / (mass + size).clamp(min=_LEAST_SUM), 0)
        counted = occurs
        if absent is not None:
            alone = absent & ~occurs
            # The Dice of a class without truth is 1 and flat; smoothed by a share of the volume it falls with its mass.
            smoothing = self.absent_share * total.clamp(min=_LEAST_SUM)[:, None]
            terms = torch.where(alone, mass / (mass + smoothing), terms)
            counted = occurs | alone
        terms, counted = terms[:, self.first_class :], counted[:, self.first_class :]
        return terms.sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def cross_entropy_per_sample(
    log_probabilities: Tensor, target: Tensor, total: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Weighted mean of the cross-entropy over annotated voxels, per sample: (B,); 0 where there is none.

    Args:
        log_probabilities: (B, C, I, J, K).
        target: (B, 1, I, J, K), class indices; IGNORE where unannotated.
        total: (B,), annotated voxels, or the sum of their weights.
        weights: (B, 1, I, J, K); 1 if not given.
    """
    labels = target.squeeze(1).long()
    losses = F.nll_loss(log_probabilities, labels, ignore_index=IGNORE, reduction="none")
    if weights is not None:
        losses = losses * weights.squeeze(1)
    return losses.sum(dim=(1, 2, 3)) / total.clamp(min=_LEAST_SUM)


def _sums(weights: Tensor) -> Tensor:
    """Of each sample and channel: (B, C). A mask is counted, which is faster than adding it up."""
    return voxel_counts(weights) if weights.dtype == torch.bool else weights.sum(dim=SPACE)
