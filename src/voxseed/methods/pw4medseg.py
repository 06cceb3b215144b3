"""PW4MedSeg: learning from probability maps, with a network that can be random (Jiang et al. 2024)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.focal import FocalLoss
from voxseed.losses.probability import ProbabilityInformedLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.networks.factory import Network
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class PW4MedSegSettings(Settings):
    """Loss on probability maps."""

    loss: Literal["probability-informed", "focal"] = Field(
        "probability-informed",
        description="focal: on the most probable class alone, without Dice, the default of the released program",
    )
    kl_weight: float = Field(
        0.3, ge=0, description="Of the divergence of a random network from its prior, summed over its layers."
    )


@register_method("pw4medseg")
class PW4MedSeg(Method):
    """Probability-informed loss plus 0.3 KL; the KL only where the network is random."""

    needs = SupervisionKind.PROBABILITY
    architectures: ClassVar[Mapping[str, str]] = {"primary": "probabilistic-unetr"}
    summary = "Probability maps from points, boxes or slices, and a probabilistic transformer (Jiang et al. 2024)."
    Settings = PW4MedSegSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = FocalLoss() if settings.loss == "focal" else ProbabilityInformedLoss()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term per network, two where it is random.

        Raises:
            ValueError: if the batch has no probabilities.
        """
        if batch.probabilities is None:
            raise ValueError("PW4MedSeg learns from probability maps, and the batch has none.")
        terms: Terms = {}
        for name, network in self.networks.items():
            logits, divergence = _drawn(network, batch.image)
            terms[name] = {"probability": self._loss(logits, batch.probabilities, batch.annotated)}
            if divergence is not None:
                terms[name]["kl"] = self.settings.kl_weight * divergence
        return terms


def _drawn(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits, and the divergence of a network that is random."""
    if isinstance(network, Network) and network.is_random:
        return network.forward_with_kl(image)
    return network(image), None
