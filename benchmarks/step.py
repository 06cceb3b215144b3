"""Forward and backward of the bare networks: fp32 and bf16, PyTorch's own layout and channels-last.

Two patches of 96 × 80 × 48, width 16, on the CPU. "plain" is the network without Voxseed's instance normalisation.
Which layout a device uses is decided in `voxseed.networks.layout`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from voxseed.networks.base import NETWORKS
from voxseed.networks.factory import build_network, default_arguments

ARCHITECTURES = ("unet3d", "residual-unet", "unet2.5d")
PATCH = (96, 80, 48)
BATCH = 2
WIDTH = 16
REPEATS = 3


def run() -> list[dict[str, Any]]:
    """One row per architecture and precision: median seconds of each way; all take turns."""
    return [_row(name, precision) for name in ARCHITECTURES for precision in ("fp32", "bf16")]


def _row(architecture: str, precision: str) -> dict[str, Any]:
    torch.manual_seed(0)
    arguments = default_arguments(architecture, (1.0, 1.0, 1.0), PATCH, WIDTH)
    layout = torch.channels_last_3d
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "plain": NETWORKS.get(architecture)(**arguments).build(1, 2),
        "plain_channels_last": NETWORKS.get(architecture)(**arguments).build(1, 2).to(memory_format=layout),
        "ours_channels_last": build_network(architecture, 1, 2, **arguments).to(memory_format=layout),
    }
    seconds = _seconds(ways, precision)
    return {
        "name": f"{architecture}, {precision}",
        **{f"{way}_seconds": value for way, value in seconds.items()},
        "ratio": seconds["ours_channels_last"] / seconds["plain"],
    }


def _seconds(ways: dict[str, Callable[[Tensor], Tensor]], precision: str) -> dict[str, float]:
    image = torch.randn(BATCH, 1, *PATCH)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(REPEATS + 1):
        for way, network in ways.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = network(image).float().square().mean()
            loss.backward()
            times[way].append(time.perf_counter() - start)
    return {way: statistics.median(each[1:]) for way, each in times.items()}
