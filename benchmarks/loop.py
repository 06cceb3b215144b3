"""The whole training loop against the bare networks' forward, backward and step, at the device's default patch.

The loop reads patches from a warm cache, augments, computes all losses, logs, clips, steps and writes checkpoints. Bare
is the sum over a method's networks of a step on one patch in memory, under the same precision, measured before and
after the loop that it is compared with.
"""

import csv
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.device import DEVICE, IS_CUDA, PATCH, as_trained, seconds_of
from voxseed.data.phantoms import make_dataset
from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

WIDTH = 16
EPOCH_LENGTH = 100 if IS_CUDA else 10
EPOCHS = 5
BARE_STEPS = 100 if IS_CUDA else 15
WARMUP_STEPS = 3
SETTINGS = (
    "preprocessing.spacing_mm=[1.5, 1.5, 1.5]",
    f"training.patch_shape={list(PATCH)}",
    f"training.epoch_length={EPOCH_LENGTH}",
    f"training.iterations={EPOCH_LENGTH * EPOCHS}",
    "recipe.stages=1",
    f"networks.primary.width={WIDTH}",
    "networks.auxiliary.architecture=unet3d",
    f"networks.auxiliary.width={WIDTH}",
)


def run() -> list[dict[str, Any]]:
    """Seconds per step of the loop and of the bare networks, and bare/loop: the share that the networks have."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        make_dataset(dataset, kind="head", train=4, test=0, seed=0)
        simulate(dataset, "points", seed=0)
        starts = [f"{member}={Path(folder) / 'pa-seg'}:{member}" for member in ("primary", "auxiliary")]
        methods: list[tuple[str, str, int, Sequence[str]]] = [
            ("partial", "partial", 1, ()),
            ("stage one of pa-seg", "pa-seg", 2, ()),
            ("second stage of pa-seg", "scm", 2, starts),
        ]
        for name, method, networks, start_from in methods:
            before = _bare_steps()
            loop = _loop_seconds(dataset, method, start_from, Path(folder) / method)
            bare = networks * statistics.median(before + _bare_steps())
            rows.append(
                {
                    "name": name,
                    "loop_seconds": loop,
                    "bare_seconds": bare,
                    "share_of_networks": bare / loop,
                    "loop_over_bare": loop / bare,
                }
            )
    return rows


def _loop_seconds(dataset: Path, method: str, start_from: Sequence[str], run_folder: Path) -> float:
    """Median over epochs but the first."""
    train(dataset, method=method, run=run_folder, overrides=SETTINGS, device=DEVICE.type, start_from=start_from)
    (metrics,) = run_folder.glob("stages/*/metrics.csv")
    with metrics.open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(seconds[1:]) / EPOCH_LENGTH


def _bare_steps() -> list[float]:
    """Seconds of steps: forward, backward, AdamW."""
    arguments = default_arguments("unet3d", (1.5, 1.5, 1.5), PATCH, WIDTH)
    network = placed(build_network("unet3d", 1, 2, **arguments), DEVICE)
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    image = torch.randn(1, 1, *PATCH, device=DEVICE)

    def step() -> None:
        with as_trained():
            loss = network(image).float().square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return [seconds_of(step) for _ in range(BARE_STEPS)][WARMUP_STEPS:]
