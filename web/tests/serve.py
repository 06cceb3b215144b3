"""A server for the browser's tests: makes a dataset, says on the first line where everything is, then serves.

python serve.py FOLDER PORT annotate|channels|review
"""

import json
import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.inference.doubts import Doubt
from voxseed.server import serve
from voxseed.workflows.prediction_inputs import files_status
from voxseed.workflows.prediction_records import PredictionRecord, write_record
from voxseed.workflows.review import ReviewedModel

SHAPE = (48, 44, 32)
BALL_VOXEL = (22, 25, 14)
RADIUS_MM = 12.0
PREDICTED_MM = 9.0
LANDMARK = (9, 31, 22)
ROTATION = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])
AFFINES = {
    "ras": np.diag([1.0, 1.25, 1.5, 1.0]),
    "lps": np.diag([-1.0, -1.25, 1.5, 1.0]),
    "las": np.diag([-1.0, 1.25, 1.5, 1.0]),
    "permuted": np.array([[0, 0, -1.5, 3], [1.0, 0, 0, 4], [0, 1.25, 0, 5], [0, 0, 0, 1]]),
    "oblique": np.block([[ROTATION @ np.diag([1.0, -1.25, 1.5]), np.array([[10.0], [-7], [3]])], [0, 0, 0, 1]]),
}
BALLS = ("clicks", "undo", "paint", "keyboard", "box", "tabs", "lost", "look")


def main() -> None:
    """Make the dataset unless it is there, and serve it."""
    root, port, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    run, predictions = root.parent / "run", root.parent / "predictions"
    if not (root / "dataset.json").exists():
        make(root, ("MRI", "T2") if what == "channels" else ("MRI",))
    positions = {name: landmark(affine) for name, affine in AFFINES.items()}
    print(json.dumps({"root": str(root), "landmarks": positions, "predictions": str(predictions)}), flush=True)
    say = partial(print, flush=True)
    if what != "review":
        serve.annotate(root, None, "127.0.0.1", port, False, say)
    else:
        predict(root, predictions)
        serve.ReviewedModel.load = lambda run, device: ReviewedModel(
            run, "digest", Dataset.open(root).labels, ("MRI",), {}
        )
        serve.BackgroundPrediction = NoPrediction
        serve.review(run, root, None, predictions, "cpu", "127.0.0.1", port, False, say)


def make(root: Path, channels: tuple[str, ...]) -> None:
    """Balls on noise, and a small cube at a known voxel on each kind of affine; a second channel is the negative."""
    data = Dataset.create(root, "Browser", channels, ["ball", "cyst"])
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    affine = AFFINES["lps"]
    away = (grid - np.reshape(BALL_VOXEL, (3, 1, 1, 1))) * np.reshape([1.0, 1.25, 1.5], (3, 1, 1, 1))
    image = 100.0 * (np.linalg.norm(away, axis=0) < RADIUS_MM) + rng.normal(0, 12, SHAPE)
    for name in BALLS:
        data.write_case(name, np.stack([image, -image][: len(channels)]).astype(np.float32), affine)
    for name, affine in AFFINES.items():
        cube = np.zeros(SHAPE, np.float32)
        cube[tuple(slice(index - 1, index + 2) for index in LANDMARK)] = 255
        data.write_case(f"landmark-{name}", np.stack([cube, -cube][: len(channels)]), affine)


class NoPrediction:
    """In place of the process that predicts: ends at once, with a sentence."""

    is_running, problem = False, "look: cannot be predicted in this test."

    def __init__(self, *arguments: object) -> None:
        """Takes what the real one takes."""

    def start(self) -> None:
        """Nothing begins."""

    def stop(self) -> None:
        """Nothing ends."""


def predict(root: Path, out: Path) -> None:
    """Balls at the right place, each a little better than the one before; the last case stays without a prediction."""
    data = Dataset.open(root)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    away = np.linalg.norm(
        (grid - np.reshape(BALL_VOXEL, (3, 1, 1, 1))) * np.reshape([1.0, 1.25, 1.5], (3, 1, 1, 1)), axis=0
    )
    label = (away < PREDICTED_MM).astype(np.uint8)
    doubted = np.where((np.arange(SHAPE[2]) == BALL_VOXEL[2] + 3) & (away < PREDICTED_MM), 0.5, 0).astype(np.float32)
    for number, case in enumerate(BALLS[:-1]):
        files = (f"{case}.nii.gz", f"uncertainty/{case}.nii.gz")
        for name, array in zip(files, (label, doubted), strict=True):
            write_volume(out / name, Volume(array, AFFINES["lps"]))
        origin = {"model": "digest", **files_status(data.image_paths(case))}
        dice = {"ball": 0.4 + 0.05 * number, "cyst": 0.2 + 0.05 * number}
        doubts = (Doubt("ball", "parts", "3 parts, training cases had at most 1"),) if number == 0 else ()
        write_record(out, PredictionRecord(case, origin, files, (), doubts, dice, 0.1))


def landmark(affine: np.ndarray) -> dict[str, list[float]]:
    """Where the cube is: RAS+ mm, and the voxel of nibabel's closest canonical image."""
    index = np.zeros(SHAPE, np.uint8)
    index[LANDMARK] = 1
    turned = nib.as_closest_canonical(nib.Nifti1Image(index, affine))
    return {
        "mm": (affine @ [*LANDMARK, 1])[:3].tolist(),
        "voxel": np.argwhere(np.asarray(turned.dataobj))[0].tolist(),
        "spacing": np.linalg.norm(affine[:3, :3], axis=0).tolist(),
    }


if __name__ == "__main__":
    main()
