"""Where the weights of a network lie in memory."""

from typing import Final, TypeVar

import torch
from torch import nn

from voxseed.devices import memory_format

N = TypeVar("N", bound=nn.Module)

_CONVOLVED_DIMENSIONS: Final = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Of the weights of 2D and 3D convolutions, and their channels-last layout."""


def in_layout_of(device: torch.device, network: N) -> N:
    """Bring weights, in place, into the layout in which convolutions are fastest on a device; nothing is moved there.

    Features follow the layout of the weights. `nn.Module.to` with a layout does this for networks whose convolutions
    are all 3D, and fails on others.
    """
    if memory_format(device) == torch.contiguous_format:
        return network
    for parameter in network.parameters():
        if parameter.ndim in _CONVOLVED_DIMENSIONS:
            parameter.data = parameter.data.contiguous(memory_format=_CONVOLVED_DIMENSIONS[parameter.ndim])
    return network
