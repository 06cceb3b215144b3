"""Adaptive self-ensembling: a network learns noisy labels robustly, and to agree with its own moving average."""

from collections import deque
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.consistency import ConsistencyLoss
from voxseed.losses.noise_robust_dice import NoiseRobustDiceLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.moving_average import update_average
from voxseed.methods.pseudo_labels import frozen_copy, noisy_label
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class SelfEnsemblingSettings(Settings):
    """Adaptive self-ensembling of COPLE-Net."""

    gamma: float = Field(1.5, ge=1, le=2, description="Of noise-robust Dice; 2 is Dice, 1 a mean absolute error.")
    consistency_weight: float = Field(0.1, ge=0, description="Of the squared difference from the teacher.")
    decay: float = Field(0.99, ge=0, lt=1, description="Of the moving average that is the teacher.")
    history: int = Field(100, ge=1, description="Recent losses that the present one is compared with.")
    good_share: float = Field(
        0.75, gt=0, le=1, description="The teacher follows while the loss is among this share of the recent ones."
    )
    keep_annotated: bool = Field(True, description="Annotated voxels keep their label.")


@register_method("self-ensembling")
class SelfEnsembling(Method):
    """Noise-robust Dice with the label, and consistency with a moving average (Wang et al. 2020, COPLE-Net).

    The average follows the network only while its loss is not among its recent worse ones, and consistency counts only
    while the average's own loss is lower. The label is the argmax of the network as the stage began, or what a tool
    labelled.
    """

    needs = SupervisionKind.PARTIAL
    starts_from_networks = True
    teacher_passes = 2
    summary = "A trained network learns pseudo labels robustly, beside an adaptive moving average of itself."
    Settings = SelfEnsemblingSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss, self._consistency = NoiseRobustDiceLoss(settings.gamma), ConsistencyLoss()
        self._recent: deque[float] = deque(maxlen=settings.history)
        self._newest = torch.tensor(0.0)
        ((self._member, network),) = networks.items()
        self.teachers["labeller"] = frozen_copy(network)
        self.teachers["average"] = frozen_copy(network)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms."""
        with torch.no_grad():
            average = self.teachers["average"](batch.image).float().softmax(dim=1)
            labeller = self.teachers["labeller"](batch.image).float().softmax(dim=1)
        label, _ = noisy_label(batch, labeller, self.settings.keep_annotated)
        own = self.networks[self._member](batch.image).float().softmax(dim=1)
        loss = self._loss(own, label)
        self._newest = loss.detach()
        is_better = self._loss(average, label) < self._newest
        weight = is_better * self.settings.consistency_weight
        consistency = weight * self._consistency(own, average, batch.valid)
        return {self._member: {"noise_robust_dice": loss, "consistency": consistency}}

    def after_step(self, progress: Progress) -> None:
        """Let the average follow, unless the loss was among the recent worse ones."""
        loss = float(_mean_over_processes(self._newest))
        if not self._recent or loss <= np.quantile(self._recent, self.settings.good_share):
            student = self.networks[self._member]
            update_average(self.teachers["average"], student, self.settings.decay, progress.step)
        self._recent.append(loss)

    def state(self) -> dict[str, Any]:
        """Recent losses."""
        return {"recent": list(self._recent)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the recent losses."""
        self._recent = deque(state["recent"], maxlen=self.settings.history)


def _mean_over_processes(value: Tensor) -> Tensor:
    """The same on every process, so that their teachers stay the same."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
