"""Peak memory of training on 400 phantoms against 50: it must not grow with the dataset."""

import multiprocessing
import resource
import tempfile
from pathlib import Path
from typing import Any

COUNTS = (50, 400)
SETTINGS = (
    "networks.primary.width=8",
    "networks.auxiliary.width=8",
    "training.iterations=40",
    "training.epoch_length=20",
    "recipe.stages=1",
)


def run() -> list[dict[str, Any]]:
    """Peak resident memory in MB of both, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    peaks = []
    for count in COUNTS:
        with context.Pool(1) as pool:
            peaks.append(pool.apply(_peak_mb, (count,)))
    return [
        {
            "name": f"training on {COUNTS[1]} phantoms against {COUNTS[0]}",
            "few_mb": peaks[0],
            "many_mb": peaks[1],
            "ratio": peaks[1] / peaks[0],
        }
    ]


def _peak_mb(count: int) -> float:
    from voxseed.data.phantoms import make_dataset
    from voxseed.workflows.simulate import simulate
    from voxseed.workflows.train import train

    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        make_dataset(dataset, kind="head", train=count, test=0, seed=0)
        simulate(dataset, "points", seed=0)
        train(dataset, run=Path(folder) / "run", overrides=SETTINGS, device="cpu")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
