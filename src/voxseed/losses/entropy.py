"""Entropy minimisation: a network should be certain about every voxel, also where nobody annotated."""

import math

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


@register_loss("entropy")
class EntropyLoss(nn.Module):
    """-sum_c p log p / log C, mean over the voxels of a mask, then over the samples that have one.

    Grandvalet and Bengio 2005.

    Forward args:
        logits: (B, C, I, J, K), before softmax.
        mask: (B, 1, I, J, K), bool; the voxels that count, such as the valid ones that nobody annotated.

    Returns:
        Scalar in [0, 1]; 1 where all classes are equally probable.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        require_same_space(logits=logits, mask=mask)
        require_channels(1, mask=mask)
        log_probabilities = F.log_softmax(at_least_float32(logits), dim=1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1, keepdim=True) / math.log(logits.shape[1])
        count = voxel_counts(mask).squeeze(1)
        sums = (entropy * mask).sum(dim=SPACE).squeeze(1)
        return mean_over_samples(sums / count.clamp(min=1), count > 0)
