"""Mean teacher: a network agrees with the average of its own past, wherever there is an image.

Tarvainen and Valpola 2017.
"""

from typing import Any, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.consistency import ConsistencyLoss
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.moving_average import update_average
from voxseed.methods.pseudo_labels import frozen_copy
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind

_MOST_SIGMAS: Final = 2.0
"""Noise is clipped at so many standard deviations."""


class MeanTeacherSettings(Settings):
    """Partial supervision, and consistency with a teacher that is an average of the student's past weights."""

    consistency_weight: float = Field(0.1, ge=0, description="Of the consistency term in the end.")
    ramp_fraction: float = Field(1.0, ge=0, le=1, description="Share of the stage in which that weight grows.")
    decay: float = Field(0.99, ge=0, lt=1, description="Of the teacher's moving average, per step.")
    noise: float = Field(
        0.1, ge=0, description="Standard deviation of what is added to the teacher's image, in those of the case."
    )


@register_method("mean-teacher")
class MeanTeacher(Method):
    """L_psup plus a ramped mean squared difference from the teacher's probabilities on a noisy copy of the patch."""

    needs = SupervisionKind.PARTIAL
    teacher_passes = 1
    summary = "Partial supervision, and consistency with the moving average of the network."
    Settings = MeanTeacherSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._partial, self._consistency = PartialSupervisionLoss(), ConsistencyLoss()
        for name, network in networks.items():
            self.teachers[name] = frozen_copy(network)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms per network."""
        weight = self.settings.consistency_weight * gaussian_ramp(progress.fraction, self.settings.ramp_fraction)
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            taught, mask = self.taught(self.teachers[name], batch, progress)
            consistency = self._consistency(logits.float().softmax(dim=1), taught, mask)
            terms[name] = {
                "partial": self._partial(logits, batch.target, batch.absent),
                "consistency": weight * consistency,
            }
        return terms

    def taught(self, teacher: nn.Module, batch: Batch, progress: Progress) -> tuple[Tensor, Tensor]:
        """Probabilities (B, C, I, J, K) of the teacher, and the voxels (B, 1, I, J, K) on which they count."""
        return self.probabilities(teacher, batch), batch.valid

    @torch.no_grad()
    def probabilities(self, teacher: nn.Module, batch: Batch) -> Tensor:
        """(B, C, I, J, K) on a copy of the patch with new noise; the image stays 0 outside the valid region."""
        noise = (self.settings.noise * torch.randn_like(batch.image)).clamp(
            -_MOST_SIGMAS * self.settings.noise, _MOST_SIGMAS * self.settings.noise
        )
        logits: Tensor = teacher(batch.image + noise * batch.valid)
        return logits.float().softmax(dim=1)

    def after_step(self, progress: Progress) -> None:
        """Move the teachers."""
        for name, network in self.networks.items():
            update_average(self.teachers[name], network, self.settings.decay, progress.step)
