"""What methods of one regulariser share: supervision of annotated voxels, and one weighted term about the others."""

from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Method, Progress, Terms
from voxseed.methods.partial import PartialLossSettings
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class RegularisedSettings(Settings):
    """Partial supervision and a regulariser; its `weight` comes with the method."""

    ramp_fraction: float = Field(0.2, ge=0, le=1, description="Share of the stage in which the weight grows.")
    partial: PartialLossSettings = PartialLossSettings()


class Regularised(Method):
    """L_psup + ramp * weight * regulariser, for every network on its own; a regulariser of weight 0 is left out."""

    needs = SupervisionKind.PARTIAL
    term: ClassVar[str]
    """Name of the regulariser in metrics.csv."""

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._partial = settings.partial.build()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Two terms per network."""
        weight = gaussian_ramp(progress.fraction, self.settings.ramp_fraction) * self.settings.weight
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            terms[name] = {"partial": self._partial(logits, batch.target, batch.absent)}
            if weight > 0:
                terms[name][self.term] = weight * self.regulariser(logits.float(), batch)
        return terms

    @abstractmethod
    def regulariser(self, logits: Tensor, batch: Batch) -> Tensor:
        """The term about voxels that nobody annotated, unweighted.

        Args:
            logits: (B, C, I, J, K), float32.
        """
