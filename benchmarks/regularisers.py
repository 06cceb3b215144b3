"""What stage one's regularisers cost beside the network's own forward and backward, at patch 96 × 80 × 48."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from voxseed.devices import best_precision
from voxseed.methods.base import Batch
from voxseed.methods.stage_one import CRFSettings, StageOne, StageOneSettings
from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed

PATCH = (96, 80, 48)
WIDTH = 16
REPEATS = 5


def run() -> list[dict[str, Any]]:
    """Seconds and ratios for the coarse grid (half resolution) and for full resolution."""
    return [_row("half resolution", (2, 2, 2)), _row("full resolution", (1, 1, 1))]


def _row(name: str, grid_factors: tuple[int, int, int]) -> dict[str, Any]:
    batch = _batch()
    arguments = default_arguments("unet3d", (1.0, 1.0, 1.0), PATCH, WIDTH)
    network = placed(build_network("unet3d", 1, 2, **arguments), torch.device("cpu"))
    settings = StageOneSettings(crf=CRFSettings(grid_factors=grid_factors, sigma_x=0.3), ramp_fraction=0)
    method = StageOne(torch.nn.ModuleDict(), settings)
    logits = torch.randn(1, 2, *PATCH, requires_grad=True)

    def network_pass() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=best_precision(torch.device("cpu")) == "bf16"):
            return network(batch.image).float().square().mean()

    def regularisers() -> Tensor:
        return torch.stack(list(method.regularisers(logits, batch, ramp=1.0).values())).sum()

    own, extra = _seconds(network_pass), _seconds(regularisers)
    return {"name": name, "network_seconds": own, "regularisers_seconds": extra, "ratio": extra / own}


def _seconds(loss: Callable[[], Tensor]) -> float:
    """Median of forward and backward, after one that warms up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        loss().backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, *PATCH, generator=generator)
    return Batch(
        image=image,
        target=torch.zeros_like(image, dtype=torch.long),
        valid=torch.ones_like(image, dtype=torch.bool),
        absent=torch.zeros(1, 2, dtype=torch.bool),
        noise=torch.tensor([0.2]),
        spacing_mm=(1.0, 1.0, 1.0),
    )
