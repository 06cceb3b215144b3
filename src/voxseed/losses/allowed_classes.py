"""Cross-entropy of a voxel of which only some classes are known to be possible."""

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


@register_loss("allowed-classes")
class AllowedClassesLoss(nn.Module):
    """-log of the probability that the allowed classes have together: mean over voxels, then over samples.

    Only voxels of which some class is not allowed count. Where one class is allowed, it is the cross-entropy.

    Forward args:
        logits: (B, C, I, J, K), before softmax.
        allowed: (B, C, I, J, K) bool, classes that a voxel may have; one or more at every voxel.

    Returns:
        Scalar >= 0, in nats; 0 without gradient if everything is allowed.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, logits: Tensor, allowed: Tensor) -> Tensor:
        require_same_space(logits=logits, allowed=allowed)
        require_channels(logits.shape[1], allowed=allowed)
        log_probabilities = F.log_softmax(at_least_float32(logits), dim=1)
        losses = -log_probabilities.masked_fill(~allowed, -float("inf")).logsumexp(dim=1, keepdim=True)
        counted = ~allowed.all(dim=1, keepdim=True)
        count = voxel_counts(counted).squeeze(1)
        return mean_over_samples((losses * counted).sum(dim=(1, *SPACE)) / count.clamp(min=1), count > 0)
