"""Consistency: a student's probabilities are those of a teacher."""

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


@register_loss("consistency")
class ConsistencyLoss(nn.Module):
    """Mean over classes of (student - teacher)^2, mean over the voxels of a mask, then over the samples that have one.

    Tarvainen and Valpola 2017 (mean teacher); with the certain voxels as mask, Yu et al. 2019, Eq. 4.

    Forward args:
        student: (B, C, I, J, K), probabilities.
        teacher: (B, C, I, J, K), probabilities; never gets a gradient.
        mask: (B, 1, I, J, K), bool; the voxels that count.

    Returns:
        Scalar in [0, 1]; 0 without gradient if no voxel counts.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        require_same_space(student=student, teacher=teacher, mask=mask)
        require_channels(student.shape[1], teacher=teacher)
        require_channels(1, mask=mask)
        difference = at_least_float32(student) - at_least_float32(teacher.detach())
        squared = difference.square().mean(dim=1, keepdim=True)
        count = voxel_counts(mask).squeeze(1)
        return mean_over_samples((squared * mask).sum(dim=SPACE).squeeze(1) / count.clamp(min=1), count > 0)
