"""nnU-Net's network, with residual blocks."""

from typing import ClassVar, Final, Self

from voxseed.networks.base import register_network
from voxseed.networks.planning import plan_levels
from voxseed.networks.unet3d import UNetArguments
from voxseed.types import Shape3, Spacing

_MAX_CHANNELS: Final = 320


@register_network("dynunet")
class DynamicUNet(UNetArguments):
    """Isensee et al. 2021: kernels and strides follow the spacing; at most 320 channels; residual blocks."""

    is_residual: ClassVar[bool] = True

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        plan = plan_levels(spacing_mm, patch_shape)
        return cls(width=width, strides=plan.strides, kernels=plan.kernels)

    def channels(self) -> list[int]:
        return [min(count, _MAX_CHANNELS) for count in super().channels()]
