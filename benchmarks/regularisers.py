"""What stage one's regularisers cost beside the network's own forward and backward; on CUDA also in memory."""

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.device import DEVICE, IS_CUDA, PATCH, as_trained, extra_bytes, seconds_of
from voxseed.methods.base import Batch
from voxseed.methods.crf_term import CRFSettings
from voxseed.methods.stage_one import StageOne, StageOneSettings
from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed

WIDTH = 16
REPEATS = 5


def run() -> list[dict[str, Any]]:
    """Seconds and ratios for the coarse grid (half resolution) and for full resolution."""
    return [_row("half resolution", (2, 2, 2)), _row("full resolution", (1, 1, 1))]


def _row(name: str, grid_factors: tuple[int, int, int]) -> dict[str, Any]:
    batch = _batch().to(DEVICE)
    arguments = default_arguments("unet3d", (1.0, 1.0, 1.0), PATCH, WIDTH)
    network = placed(build_network("unet3d", 1, 2, **arguments), DEVICE)
    settings = StageOneSettings(crf=CRFSettings(grid_factors=grid_factors, sigma_x=0.3), ramp_fraction=0)
    method = StageOne(torch.nn.ModuleDict(), settings)
    noise = torch.randn(1, 2, *PATCH, device=DEVICE, requires_grad=True)

    def network_pass() -> Tensor:
        return logits().float().square().mean()

    def logits() -> Tensor:
        with as_trained():
            return network(batch.image)

    def regularisers(values: Tensor) -> Tensor:
        return torch.stack(list(method.regularisers(values, batch, ramp=1.0).values())).sum()

    own, extra = _seconds(network_pass), _seconds(lambda: regularisers(noise))
    row = {"name": name, "network_seconds": own, "regularisers_seconds": extra, "ratio": extra / own}
    if IS_CUDA:
        bare = extra_bytes(lambda: network_pass().backward())
        whole = extra_bytes(lambda: regularisers(logits()).backward())
        row |= {"network_gb": bare / 1024**3, "with_regularisers_gb": whole / 1024**3, "memory_ratio": whole / bare}
    return row


def _seconds(loss: Callable[[], Tensor]) -> float:
    """Median of forward and backward, after one that warms up."""
    times = [seconds_of(lambda: loss().backward()) for _ in range(REPEATS + 1)]
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
