"""Architectures by name. An architecture is its arguments: plain values that a model file can hold, and can build."""

from abc import ABC, abstractmethod
from typing import Any, Final, Literal, Self

from pydantic import Field
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

    def monai_config(self, in_channels: int, class_count: int) -> dict[str, Any] | None:
        """The same network as a component of a MONAI bundle, `_target_` and arguments; None if MONAI has none."""
        return None


class SlicewiseArchitecture(Architecture):
    """A network that reads the slices across one axis of space, each by itself."""

    axis: Literal[0, 1, 2] = Field(description="Across the slices: 0 sagittal, 1 coronal, 2 axial ones.")

    @classmethod
    @abstractmethod
    def planned_across(cls, axis: int, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        """As `planned`, for slices across this axis."""


class RandomBody(nn.Module, ABC):
    """What `build` gives where a network can draw random numbers. Plain `forward` draws none."""

    @abstractmethod
    def forward_with_kl(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C, I, J, K) drawn at random, and the KL divergence of what is drawn from its prior, a scalar."""


NETWORKS: Final = Registry[type[Architecture]]("network", "voxseed.networks")
register_network = NETWORKS.register
