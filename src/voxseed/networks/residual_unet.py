"""Residual U-Net that halves the resolution in its first convolution: several times cheaper than the others."""

from typing import Any, Self

from monai.networks.nets import UNet
from pydantic import Field
from torch import nn

from voxseed.networks.base import Architecture, register_network
from voxseed.networks.planning import MIN_LEVELS, plan_levels, total_stride
from voxseed.types import Shape3, Spacing


@register_network("residual-unet")
class ResidualUNet(Architecture):
    """Kerfoot et al. 2018, MONAI's. Only its last convolutions see full resolution, which costs fine structures."""

    width: int = Field(ge=1, description="Channels of the first level, which is already downsampled; they double.")
    strides: tuple[Shape3, ...] = Field(
        min_length=MIN_LEVELS - 1, description="Downsampling of each level but the deepest."
    )
    residual_units: int = Field(
        default=2, ge=0, description="Convolutions per residual unit; 0: one plain convolution."
    )

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        return cls(width=width, strides=plan_levels(spacing_mm, patch_shape).strides)

    def divisor(self) -> Shape3:
        return total_stride(self.strides)

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        return UNet(**self._arguments(in_channels, class_count))

    def monai_config(self, in_channels: int, class_count: int) -> dict[str, Any]:
        return {"_target_": "UNet", **self._arguments(in_channels, class_count)}

    def _arguments(self, in_channels: int, class_count: int) -> dict[str, Any]:
        """Of MONAI's UNet, as plain JSON values."""
        return {
            "spatial_dims": 3,
            "in_channels": in_channels,
            "out_channels": class_count,
            "channels": [self.width * 2**level for level in range(len(self.strides) + 1)],
            "strides": [list(stride) for stride in self.strides],
            "num_res_units": self.residual_units,
        }
