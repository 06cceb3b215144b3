"""V-Net: residual blocks of 5 x 5 x 5 convolutions."""

from typing import Final, Literal, Self

from monai.networks.nets import VNet as MonaiVNet
from pydantic import Field
from torch import nn

from voxseed.errors import InputError
from voxseed.networks.base import Architecture, register_network
from voxseed.networks.normalisation import without_batch_statistics
from voxseed.types import Shape3, Spacing

_WIDTH: Final = 16


@register_network("vnet")
class VNet(Architecture):
    """Milletari et al. 2016, MONAI's, with instance instead of batch normalisation and no dropout."""

    width: Literal[16] = Field(default=_WIDTH, description="Channels of the first level: 16, as published.")

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        if width != _WIDTH:
            raise InputError(f"network vnet: its width is {_WIDTH}, found {width}.")
        return cls()

    def divisor(self) -> Shape3:
        return 16, 16, 16

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        if _WIDTH % in_channels:
            raise InputError(f"network vnet: {in_channels} image channels do not divide {_WIDTH}; use another network.")
        network = MonaiVNet(spatial_dims=3, in_channels=in_channels, out_channels=class_count)
        _switch_off_dropout(network)
        return without_batch_statistics(network)


def _switch_off_dropout(network: nn.Module) -> None:
    """In place; MONAI's arguments do not reach the dropout of the two finest levels."""
    for module in network.modules():
        if isinstance(module, nn.Dropout3d):
            module.p = 0.0
