"""Focal loss on the most probable class: what the released program of PW4MedSeg has instead of its paper's loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.probability import counted_voxels, most_probable
from voxseed.losses.shapes import SPACE, at_least_float32, mean_over_samples, voxel_counts


@register_loss("focal")
class FocalLoss(nn.Module):
    """Focal cross-entropy on the most probable class alone: the default of PW4MedSeg's released program.

    Lin et al. 2017: mean of -alpha_t (1 - p_t)^gamma log p_t, alpha_t = `alpha` on foreground, 1 - `alpha` on
    background. How probable the target is does not matter.

    Args:
        gamma: the larger, the less a voxel counts that is right already.
        alpha: weight of foreground.

    Forward args and returns: as `ProbabilityInformedLoss`.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__()
        self.gamma = gamma
        self.alpha = alpha

    def forward(self, logits: Tensor, probabilities: Tensor, counted: Tensor | None = None) -> Tensor:
        counted = counted_voxels(logits, probabilities, counted)
        target, _ = most_probable(probabilities)
        log_p = F.log_softmax(at_least_float32(logits), dim=1).gather(1, target)
        alpha = torch.where(target > 0, self.alpha, 1 - self.alpha)
        # 1 - p by expm1: where p is almost 1, the difference would be lost in rounding.
        losses = -alpha * (-torch.expm1(log_p)) ** self.gamma * log_p
        count = voxel_counts(counted).squeeze(1)
        return mean_over_samples((losses * counted).sum(dim=(1, *SPACE)) / count.clamp(min=1), count > 0)
