"""Generalised cross-entropy: between cross-entropy and mean absolute error, which counts wrong labels less."""

import torch
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


@register_loss("generalised-cross-entropy")
class GeneralisedCrossEntropyLoss(nn.Module):
    """(1 - p_q^kappa) / kappa of the labelled class q, mean over labelled voxels, then over the samples that have one.

    Zhang and Sabuncu 2018. kappa towards 0 is cross-entropy, kappa = 1 mean absolute error.

    Args:
        kappa: in (0, 1].

    Forward args:
        logits: (B, C, I, J, K), before softmax.
        label: (B, 1, I, J, K), integer class indices; IGNORE (255) where there is none.

    Returns:
        Scalar in [0, 1 / kappa].

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def __init__(self, kappa: float = 0.7) -> None:
        super().__init__()
        if not 0 < kappa <= 1:
            raise ValueError(f"kappa: expected a number in (0, 1], found {kappa}.")
        self.kappa = kappa

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        require_same_space(logits=logits, label=label)
        require_channels(1, label=label)
        labelled = label != IGNORE
        log_probabilities = at_least_float32(logits).log_softmax(dim=1)
        index = torch.where(labelled, label, 0).long()
        of_label = log_probabilities.gather(1, index)
        losses = (1 - (self.kappa * of_label).exp()) / self.kappa
        count = voxel_counts(labelled).squeeze(1)
        return mean_over_samples((losses * labelled).sum(dim=SPACE).squeeze(1) / count.clamp(min=1), count > 0)
