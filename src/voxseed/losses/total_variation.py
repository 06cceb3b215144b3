"""Total variation: a segmentation should have little border."""

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


@register_loss("total-variation")
class TotalVariationLoss(nn.Module):
    """L1 norm of the gradient of the probabilities: sum over classes and axes, mean over valid voxels, then samples.

    Javanmardi et al. 2016. The gradient is the difference of neighbours, per step from voxel to voxel, and 0 between
    a valid voxel and an invalid one.

    Forward args:
        probabilities: (B, C, I, J, K), in [0, 1].
        valid: (B, 1, I, J, K), bool.

    Returns:
        Scalar >= 0; 0 where all voxels have one label.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, probabilities: Tensor, valid: Tensor) -> Tensor:
        require_same_space(probabilities=probabilities, valid=valid)
        require_channels(1, valid=valid)
        count = voxel_counts(valid).squeeze(1)
        variation = total_variation(at_least_float32(probabilities), valid).sum(dim=1)
        return mean_over_samples(variation / count.clamp(min=1), count > 0)


def total_variation(probabilities: Tensor, valid: Tensor) -> Tensor:
    """Sum over pairs of valid neighbours of the difference of each class: (B, C).

    Args:
        probabilities: (B, C, I, J, K).
        valid: (B, 1, I, J, K), bool.
    """
    result = probabilities.new_zeros(probabilities.shape[:2])
    for axis in SPACE:
        both_valid = valid.narrow(axis, 1, valid.shape[axis] - 1) & valid.narrow(axis, 0, valid.shape[axis] - 1)
        result = result + (probabilities.diff(dim=axis).abs() * both_valid).sum(dim=SPACE)
    return result
