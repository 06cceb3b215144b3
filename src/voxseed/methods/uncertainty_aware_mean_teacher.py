"""Uncertainty-aware mean teacher: the student follows the teacher only where that is certain. Yu et al. 2019."""

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Progress, register_method
from voxseed.methods.mean_teacher import MeanTeacher, MeanTeacherSettings


class UncertaintyAwareMeanTeacherSettings(MeanTeacherSettings):
    """Mean teacher with a threshold on the teacher's uncertainty."""

    passes: int = Field(8, ge=1, description="Of the teacher, each with noise of its own, for its uncertainty.")
    first_limit: float = Field(
        0.75, ge=0, le=1, description="Share of the largest entropy below which the teacher counts; grows to 1."
    )


@register_method("uncertainty-aware-mean-teacher")
class UncertaintyAwareMeanTeacher(MeanTeacher):
    """As mean teacher, on voxels where the entropy of the teacher's mean probabilities is below a growing limit.

    Yu et al. 2019, Eq. 2 to 4. The limit grows from `first_limit` to 1 times log C as the weight does.
    """

    teacher_passes = 9
    summary = "Mean teacher that is followed only where it is certain."
    Settings = UncertaintyAwareMeanTeacherSettings

    def taught(self, teacher: nn.Module, batch: Batch, progress: Progress) -> tuple[Tensor, Tensor]:
        """Probabilities of one pass, and the valid voxels on which several passes agree."""
        settings = self.settings
        limit = settings.first_limit + (1 - settings.first_limit) * gaussian_ramp(
            progress.fraction, settings.ramp_fraction
        )
        mean = self.probabilities(teacher, batch)
        for number in range(1, settings.passes):
            mean += (self.probabilities(teacher, batch) - mean) / (number + 1)
        certain = entropy(mean) < limit * math.log(mean.shape[1])
        return self.probabilities(teacher, batch), batch.valid & certain


def entropy(probabilities: Tensor) -> Tensor:
    """-sum_c p log p in nats: (B, 1, I, J, K), of probabilities (B, C, I, J, K)."""
    return torch.special.entr(probabilities).sum(dim=1, keepdim=True)
