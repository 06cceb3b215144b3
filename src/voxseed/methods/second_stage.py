"""What second stages share that learn one noisy label: trained networks make it as the stage begins."""

from typing import Any

from torch import Tensor, nn

from voxseed.methods.base import Batch, Method
from voxseed.methods.pseudo_labels import frozen_copy, mean_probabilities, noisy_label
from voxseed.supervision.kinds import SupervisionKind


class SecondStage(Method):
    """Trained networks, and frozen copies of them whose mean is the label where nobody and no tool gave one.

    The settings of a method have `keep_annotated`.
    """

    needs = SupervisionKind.PARTIAL
    starts_from_networks = True
    teacher_passes = 1

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        for name, network in networks.items():
            self.teachers[name] = frozen_copy(network)

    def label(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Label and where it is certain, as `noisy_label` returns them."""
        return noisy_label(batch, mean_probabilities(self.teachers, batch.image), self.settings.keep_annotated)
