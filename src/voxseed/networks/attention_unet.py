"""Attention U-Net: skip connections are gated by what the deeper level found."""

from typing import Self

from monai.networks.nets import AttentionUnet
from pydantic import Field
from torch import nn

from voxseed.networks.base import Architecture, register_network
from voxseed.networks.normalisation import without_batch_statistics
from voxseed.networks.planning import MIN_LEVELS, plan_levels, total_stride
from voxseed.types import Shape3, Spacing


@register_network("attention-unet")
class AttentionUNet(Architecture):
    """Oktay et al. 2018, MONAI's, with instance instead of batch normalisation. PA-Seg's auxiliary network."""

    width: int = Field(ge=2, description="Channels of the first level; they double per level.")
    strides: tuple[Shape3, ...] = Field(
        min_length=MIN_LEVELS - 1, description="Downsampling into each level below the first."
    )

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        return cls(width=width, strides=plan_levels(spacing_mm, patch_shape).strides)

    def divisor(self) -> Shape3:
        return total_stride(self.strides)

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        network = AttentionUnet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=class_count,
            channels=[self.width * 2**level for level in range(len(self.strides) + 1)],
            strides=self.strides,
        )
        return without_batch_statistics(network)
