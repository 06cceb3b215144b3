"""Probability-informed loss: a target that is probable counts for more than one that is a guess."""

from typing import Final

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

_EVEN: Final = 0.5


@register_loss("probability-informed")
class ProbabilityInformedLoss(nn.Module):
    """Cross-entropy weighted by the probability of the target, plus Dice.

    Jiang et al. 2024 (PW4MedSeg). With foreground probabilities g_c and g_0 = 1 - max g_c, the target t is the most
    probable class: mean of g_t CE(p, t), plus 1 - 2 sum(p q) / sum(p^2 + q^2), q one-hot of t, mean over the foreground
    classes that occur. With two classes: w BCE, w = g where t = 1 and 1 - g elsewhere. Per sample, then the mean over
    the samples that have a voxel to count.

    Forward args:
        logits: (B, C, I, J, K), before softmax.
        probabilities: (B, C - 1, I, J, K), foreground probability of each class, in [0, 1].
        counted: (B, 1, I, J, K) bool or None; voxels that count, such as all but padding.

    Returns:
        Scalar >= 0.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, logits: Tensor, probabilities: Tensor, counted: Tensor | None = None) -> Tensor:
        counted = counted_voxels(logits, probabilities, counted)
        target, weight = most_probable(probabilities)
        log_p = F.log_softmax(at_least_float32(logits), dim=1)
        count = voxel_counts(counted).squeeze(1)
        cross_entropy = (-log_p.gather(1, target) * weight * counted).sum(dim=(1, *SPACE)) / count.clamp(min=1)
        return mean_over_samples(cross_entropy + _dice(log_p.exp(), target, counted), count > 0)


def most_probable(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Most probable class and its probability; background's is 1 minus the largest of the others.

    Args:
        probabilities: (B, C - 1, I, J, K), of the foreground classes.

    Returns:
        Class indices (B, 1, I, J, K) int64, and probabilities (B, 1, I, J, K) of at least one half.
    """
    largest, index = probabilities.max(dim=1, keepdim=True)
    is_foreground = largest > _EVEN
    return torch.where(is_foreground, index + 1, 0), torch.where(is_foreground, largest, 1 - largest)


def counted_voxels(logits: Tensor, probabilities: Tensor, counted: Tensor | None) -> Tensor:
    """The voxels that count, (B, 1, I, J, K) bool: all where nothing was said.

    Raises:
        ShapeError: if the tensors do not fit together.
    """
    if counted is None:
        counted = torch.ones_like(logits[:, :1], dtype=torch.bool)
    require_same_space(logits=logits, probabilities=probabilities, counted=counted)
    require_channels(logits.shape[1] - 1, probabilities=probabilities)
    require_channels(1, counted=counted)
    return counted


def _dice(p: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Dice loss per sample, (B,): mean over the foreground classes that occur, 0 if none does."""
    classes = torch.arange(1, p.shape[1], device=target.device)
    truth = (target == classes[:, None, None, None]) & counted
    size = voxel_counts(truth)
    p = p[:, 1:] * counted
    overlap, mass = (p * truth).sum(dim=SPACE), p.square().sum(dim=SPACE)
    terms = torch.where(size > 0, 1 - 2 * overlap / (mass + size).clamp(min=1), 0)
    return terms.sum(dim=1) / (size > 0).sum(dim=1).clamp(min=1)
