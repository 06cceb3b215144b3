"""3D U-Net: two convolutions per level, strided downsampling, transposed convolutions up."""

from typing import Any, ClassVar, Self

from monai.networks.nets import DynUNet
from pydantic import Field, model_validator
from torch import nn

from voxseed.networks.base import Architecture, register_network
from voxseed.networks.planning import MIN_LEVELS, plan_levels, total_stride
from voxseed.types import Shape3, Spacing


class UNetArguments(Architecture):
    """Arguments of an encoder-decoder whose levels are given one by one, finest first."""

    width: int = Field(ge=1, description="Channels of the first level; they double per level.")
    strides: tuple[Shape3, ...] = Field(
        min_length=MIN_LEVELS - 1, description="Downsampling into each level below the first."
    )
    kernels: tuple[Shape3, ...] = Field(min_length=MIN_LEVELS, description="Convolution kernel of each level.")
    is_residual: ClassVar[bool] = False

    @model_validator(mode="after")
    def _one_kernel_per_level(self) -> Self:
        if len(self.kernels) != len(self.strides) + 1:
            raise ValueError(f"{len(self.strides)} strides need one kernel more, found {len(self.kernels)}")
        return self

    def divisor(self) -> Shape3:
        return total_stride(self.strides)

    def channels(self) -> list[int]:
        """Channels of each level."""
        return [self.width * 2**level for level in range(len(self.kernels))]

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        return dynamic_unet(self, in_channels, class_count)

    def monai_config(self, in_channels: int, class_count: int) -> dict[str, Any]:
        return {"_target_": "DynUNet", **self.dynamic_unet_arguments(in_channels, class_count)}

    def dynamic_unet_arguments(self, in_channels: int, class_count: int) -> dict[str, Any]:
        """Of MONAI's DynUNet, as plain JSON values."""
        strides = [list(stride) for stride in self.strides]
        return {
            "spatial_dims": 3,
            "in_channels": in_channels,
            "out_channels": class_count,
            "kernel_size": [list(kernel) for kernel in self.kernels],
            "strides": [[1, 1, 1], *strides],
            "upsample_kernel_size": strides,
            "filters": self.channels(),
            "res_block": self.is_residual,
        }


@register_network("unet3d")
class UNet3D(UNetArguments):
    """Çiçek et al. 2016, with instance normalisation, leaky ReLU and learned downsampling. Kernels are 3 x 3 x 3."""

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        plan = plan_levels(spacing_mm, patch_shape)
        return cls(width=width, strides=plan.strides, kernels=((3, 3, 3),) * len(plan.kernels))


def dynamic_unet(arguments: UNetArguments, in_channels: int, class_count: int) -> nn.Module:
    """MONAI's DynUNet with the levels of `arguments`."""
    network = DynUNet(**arguments.dynamic_unet_arguments(in_channels, class_count))
    return without_second_names(network)


def without_second_names(network: DynUNet) -> nn.Module:
    """The network with one name for each of its blocks, in place.

    `forward` runs through `skip_layers`, where the same blocks are nested; a parameter with two names could not be
    written to a model file.
    """
    for second_name in ("input_block", "downsamples", "bottleneck", "upsamples"):
        delattr(network, second_name)
    return network
