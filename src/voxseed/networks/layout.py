"""In which order of its numbers a network computes."""

from typing import TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def placed(network: AnyModule, device: torch.device) -> AnyModule:
    """Move a network to a device, in the layout in which it was measured to be fastest there; return the network.

    On a CPU that is channels-last, which the features inherit from the weights (benchmarks/step.py). On other devices
    it is PyTorch's own.
    """
    network.to(device)
    if device.type == "cpu":
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # PyTorch's stubs lack it
    return network
