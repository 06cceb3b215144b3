"""How long an iteration takes here."""

import time

import torch

from voxseed.networks.factory import build_network
from voxseed.networks.layout import placed
from voxseed.training.plan import Networks
from voxseed.types import Shape3


def measured_seconds_per_iteration(
    networks: Networks,
    channels: int,
    classes: int,
    patch_shape: Shape3,
    batch_size: int,
    device: str,
    precision: str,
) -> float:
    """Forward and backward of all networks on a patch of noise; the faster of two tries, because the first warms up."""
    image = torch.randn(batch_size, channels, *patch_shape, device=device)
    return sum(
        _seconds_of(build_network(in_channels=channels, class_count=classes, **arguments), image, precision)
        for arguments in networks.values()
    )


def _seconds_of(network: torch.nn.Module, image: torch.Tensor, precision: str) -> float:
    network = placed(network, image.device)
    durations = []
    for _ in range(2):
        start = time.perf_counter()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=precision == "bf16"):
            value = network(image).float().square().mean()
        value.backward()
        float(value.detach())
        durations.append(time.perf_counter() - start)
    return min(durations)
