"""Peak memory of predicting a volume of 1024 × 1024 × 800 voxels, file to file, with a model of four classes.

Most of the volume is empty, so that few windows are predicted: memory depends on the volume, not on what is in it.
"""

import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (1024, 1024, 800)
SPACING_MM = 3.0
SETTINGS = (
    "networks.primary.width=4",
    "training.iterations=2",
    "training.epoch_length=2",
    "training.patch_shape=[48, 48, 32]",
)


def run() -> list[dict[str, Any]]:
    """Peak resident memory in GB, and seconds."""
    from voxseed.data.phantoms import make_dataset
    from voxseed.data.volumes import Volume, write_volume
    from voxseed.workflows.train import train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_dataset(folder / "dataset", kind="multi-class", train=2, test=0, seed=0)
        run_folder = train(folder / "dataset", method="full", run=folder / "run", overrides=SETTINGS, device="cpu")
        image = np.zeros(SHAPE, dtype=np.int16)
        image[462:562, 462:562, 350:450] = np.random.default_rng(0).integers(1, 1000, (100, 100, 100))
        (folder / "images").mkdir()
        affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
        write_volume(folder / "images" / "large_0000.nii.gz", Volume(image, affine))
        del image
        start = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(_peak_gb, (run_folder, folder))
        return [{"name": f"{SHAPE}, 4 classes", "peak_gb": peak, "seconds": time.perf_counter() - start}]


def _peak_gb(run_folder: Path, folder: Path) -> float:
    from voxseed.workflows.predict import predict

    predict(run_folder, [folder / "images"], folder / "predictions", device="cpu")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
