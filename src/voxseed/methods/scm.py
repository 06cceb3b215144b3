"""Self and cross monitoring: two networks learn from their own hard and the other's soft pseudo labels.

Zhai et al. 2023 (PA-Seg), section III-B, Eq. 12 to 15.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.distillation import DistillationLoss
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.pseudo_labels import frozen_copy, kept, pseudo_label
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class SCMSettings(Settings):
    """Second stage of PA-Seg."""

    cross_weight: float = Field(0.5, ge=0, le=1, description="Lambda: 0 is self-training alone, 1 cross alone.")
    temperature: float = Field(4.0, gt=0, description="T of the soft labels.")
    squared_temperature: bool = Field(True, description="Multiply the distillation by T squared.")
    refreshes: int = Field(5, ge=1, description="The teachers are new copies at the start and after each such part.")
    keep_annotated: bool = Field(
        True, description="Supervised voxels keep their target; in the paper the teachers replace it."
    )


@register_method("scm")
class SelfAndCrossMonitoring(Method):
    """Of each network: lambda KL(other's teacher || student) + (1 - lambda) (CE + Dice)(student, own teacher) / 2.

    With `keep_annotated` the hard labels are the supervision itself where there is one. Soft labels are the teachers'
    everywhere: without them on annotated voxels, nothing would be learned there with lambda = 1. Labels that are not
    trusted (noisy-dense) are not kept: they live on in the networks that the stage starts from, and nowhere else.
    """

    needs = SupervisionKind.PARTIAL
    members = ("primary", "auxiliary")
    starts_from_networks = True
    teacher_passes = 1
    summary = "Second stage of pa-seg: two trained networks monitor themselves and each other."
    Settings = SCMSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._self_loss = PartialSupervisionLoss()
        self._cross_loss = DistillationLoss(settings.temperature, settings.squared_temperature)
        self._refreshes_done = 0
        for name, network in networks.items():
            self.teachers[name] = frozen_copy(network)

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Self and cross term of both networks."""
        with torch.no_grad():
            taught = {name: teacher(batch.image) for name, teacher in self.teachers.items()}
        share = self.settings.cross_weight
        known = kept(batch, self.settings.keep_annotated)
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            label = torch.where(known, batch.target, pseudo_label(taught[name], batch))
            terms[name] = {
                "self": (1 - share) * self._self_loss(logits, label),
                "cross": share * self._cross_loss(logits, taught[_other(name, taught)], batch.valid),
            }
        return terms

    def after_step(self, progress: Progress) -> None:
        """Refresh the teachers at every part of the stage but its end."""
        due = int(progress.fraction * self.settings.refreshes + 1e-9)
        if self._refreshes_done < due < self.settings.refreshes:
            for name, network in self.networks.items():
                self.teachers[name].load_state_dict(network.state_dict())
            self._refreshes_done = due

    def state(self) -> dict[str, Any]:
        """Refreshes done."""
        return {"refreshes_done": self._refreshes_done}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the number of refreshes."""
        self._refreshes_done = state["refreshes_done"]


def _other(name: str, networks: dict[str, Tensor]) -> str:
    return next(other for other in networks if other != name)
