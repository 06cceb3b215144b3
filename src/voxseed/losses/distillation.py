"""Distillation: a student follows the softened probabilities of a teacher."""

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


@register_loss("distillation")
class DistillationLoss(nn.Module):
    """KL(teacher || student) between probabilities at temperature T, mean over valid voxels, then over samples.

    Zhai et al. 2023 (PA-Seg), Eq. 12 and 13, after Hinton et al. 2015. Eq. 13 prints the foreground term alone;
    this is the whole divergence over classes. Samples without a valid voxel are left out of the mean.

    Args:
        temperature: T > 0; larger is softer.
        squared_temperature: multiply by T^2, as the paper's released program does, so that the gradient keeps its
            size when T changes.

    Forward args:
        student_logits: (B, C, I, J, K).
        teacher_logits: (B, C, I, J, K); never gets a gradient.
        valid: (B, 1, I, J, K), bool.

    Returns:
        Scalar >= 0, in nats (times T^2); 0 where the two agree.

    Raises:
        ShapeError: if the tensors do not fit together.

    Example:
        >>> loss = DistillationLoss(temperature=4.0)(student(image), teacher(image), torch.ones_like(image[:, :1]) > 0)
    """

    def __init__(self, temperature: float = 4.0, squared_temperature: bool = True) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature: expected a number above 0, found {temperature}.")
        self.temperature = temperature
        self.factor = temperature**2 if squared_temperature else 1.0

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, valid: Tensor) -> Tensor:
        require_same_space(student_logits=student_logits, teacher_logits=teacher_logits, valid=valid)
        require_channels(student_logits.shape[1], teacher_logits=teacher_logits)
        require_channels(1, valid=valid)
        student = F.log_softmax(at_least_float32(student_logits) / self.temperature, dim=1)
        teacher = F.log_softmax(at_least_float32(teacher_logits.detach()) / self.temperature, dim=1)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1, keepdim=True)
        count = voxel_counts(valid).squeeze(1)
        sums = (divergence * valid).sum(dim=SPACE).squeeze(1)
        return self.factor * mean_over_samples(sums / count.clamp(min=1), count > 0)
