"""Partial cross-entropy: over the annotated voxels, and nothing else."""

import torch.nn.functional as F
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.partial import cross_entropy_per_sample
from voxseed.losses.shapes import (
    at_least_float32,
    mean_over_samples,
    require_channels,
    require_same_space,
    voxel_counts,
)
from voxseed.types import IGNORE


@register_loss("partial-cross-entropy")
class PartialCrossEntropyLoss(nn.Module):
    """Mean cross-entropy over annotated voxels, then over the samples that have one.

    Tang et al. 2018 (normalised cut loss), the loss of scribbles; the first term of PA-Seg's Eq. 3.

    Forward args:
        logits: (B, C, I, J, K), before softmax.
        target: (B, 1, I, J, K), integer class indices; IGNORE (255) where unannotated.

    Returns:
        Scalar >= 0, in nats; 0 without gradient if nothing is annotated.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        require_same_space(logits=logits, target=target)
        require_channels(1, target=target)
        count = voxel_counts(target != IGNORE).squeeze(1)
        losses = cross_entropy_per_sample(F.log_softmax(at_least_float32(logits), dim=1), target, count)
        return mean_over_samples(losses, count > 0)
