"""Architectures by name. An architecture is its arguments: plain values that a model file can hold, and can build."""

from abc import ABC, abstractmethod
from typing import Final, Self

from torch import Tensor, nn

from voxseed.registry import Registry
from voxseed.settings import Settings
from voxseed.types import Shape3, Spacing


class Architecture(Settings, ABC):
    """The arguments of one kind of network. Subclasses register under the name that users write."""

    @classmethod
    @abstractmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        """Arguments that suit a patch of this spacing and shape; `width` channels at the first level."""

    @abstractmethod
    def divisor(self) -> Shape3:
        """What the shape of an input must be a multiple of, per axis."""

    @abstractmethod
    def build(self, in_channels: int, class_count: int) -> nn.Module:
        """The network with fresh weights: (B, M, I, J, K) -> logits (B, C, I, J, K)."""


class RandomBody(nn.Module, ABC):
    """What `build` gives where a network can draw random numbers. Plain `forward` draws none."""

    @abstractmethod
    def forward_with_kl(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C, I, J, K) drawn at random, and the KL divergence of what is drawn from its prior, a scalar."""


NETWORKS: Final = Registry[type[Architecture]]("network", "voxseed.networks")
register_network = NETWORKS.register
