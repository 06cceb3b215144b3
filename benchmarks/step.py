"""Forward and backward of the bare networks: fp32 and bf16, PyTorch's own layout and channels-last.

Two patches of the device's default shape, width 16. "plain" is the network without Voxseed's instance normalisation. On
CUDA also compiled; on a CPU compiling one network had not ended after eight minutes.
Which layout a device uses is decided in `voxseed.networks.layout`.
"""

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.device import DEVICE, IS_CUDA, PATCH, in_precision, seconds_of
from voxseed.networks.base import NETWORKS
from voxseed.networks.factory import build_network, default_arguments

ARCHITECTURES = ("unet3d", "residual-unet", "unet2.5d")
BATCH = 2
WIDTH = 16
REPEATS = 3


def run() -> list[dict[str, Any]]:
    """One row per architecture and precision: median seconds of each way; all take turns."""
    return [_row(name, precision) for name in ARCHITECTURES for precision in ("fp32", "bf16")]


def _row(architecture: str, precision: str) -> dict[str, Any]:
    torch.manual_seed(0)
    arguments = default_arguments(architecture, (1.0, 1.0, 1.0), PATCH, WIDTH)
    plain = NETWORKS.get(architecture)(**arguments)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "plain": plain.build(1, 2).to(DEVICE),
        "plain_channels_last": _channels_last(plain.build(1, 2)),
        "ours_channels_last": _channels_last(build_network(architecture, 1, 2, **arguments)),
    }
    if IS_CUDA:
        ways["compiled"] = torch.compile(plain.build(1, 2).to(DEVICE))
    seconds = _seconds(ways, precision)
    return {
        "name": f"{architecture}, {precision}",
        **{f"{way}_seconds": value for way, value in seconds.items()},
        "ratio": seconds["ours_channels_last"] / seconds["plain"],
    }


def _seconds(ways: dict[str, Callable[[Tensor], Tensor]], precision: str) -> dict[str, float]:
    image = torch.randn(BATCH, 1, *PATCH, device=DEVICE)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPEATS + 1):
        for way, network in ways.items():
            times[way].append(seconds_of(lambda network=network: _step(network, image, precision)))  # type: ignore[misc]
    return {way: statistics.median(each[1:]) for way, each in times.items()}


def _step(network: Callable[[Tensor], Tensor], image: Tensor, precision: str) -> None:
    with in_precision(precision):
        loss = network(image).float().square().mean()
    loss.backward()


def _channels_last(network: nn.Module) -> nn.Module:
    network.to(DEVICE).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network
