"""In which order of its numbers a network computes."""

from typing import Final, TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)

_CHANNELS_LAST: Final = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Layouts of the weights of 2D and 3D convolutions, by their dimensions."""


def placed(network: AnyModule, device: torch.device) -> AnyModule:
    """Move a network to a device, in the layout in which it was measured to be fastest there; return the network.

    On a CPU that is channels-last, which the features inherit from the weights (benchmarks/step.py). On other devices
    it is PyTorch's own.
    """
    network.to(device)
    if device.type == "cpu":
        for weights in network.parameters():
            if weights.ndim in _CHANNELS_LAST:
                weights.data = weights.data.contiguous(memory_format=_CHANNELS_LAST[weights.ndim])
    return network
