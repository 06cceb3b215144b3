"""Where the missing Dice of a prediction lies: walls, thin branches, depth, leakage. Binary, per case, then the mean.

    python -m benchmarks.lost_dice --data ../shared/data/Dataset101_LeftAtrium --pictures OUT ROW=PREDICTIONS ...

1 - Dice = (missed + wrong voxels) / (true + predicted voxels), so that each kind of error has a share of it:
branches: missed parts of the object that an opening by a ball takes away (veins); depth: missed elsewhere, further from
the surface than `--wall-mm`; leakage: wrong voxels further than that; walls: all errors near the true surface.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_volume
from voxseed.evaluation.overlays import overlay_png
from voxseed.types import BoolArray, Spacing

KINDS = ("walls", "branches", "depth", "leakage")


def main() -> None:
    """Print one line per row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--wall-mm", type=float, default=2.5)
    parser.add_argument("--branch-mm", type=float, default=6.0, help="radius of the ball of the opening")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of each row's worst, median and best case")
    parser.add_argument("rows", nargs="+", metavar="ROW=PREDICTIONS")
    chosen = parser.parse_args()
    data = Dataset.open(chosen.data)
    print(f"| row | 1 − Dice | {' | '.join(KINDS)} |")
    print("|---|---|" + "---|" * len(KINDS))
    for row in chosen.rows:
        name, _, folder = row.partition("=")
        paths = sorted(Path(folder).glob(f"*{data.file_ending}"))
        shares = np.array([_shares(data, path, chosen.wall_mm, chosen.branch_mm) for path in paths])
        means = shares.mean(axis=0)
        if chosen.pictures:
            ranked = [paths[index] for index in np.argsort(-shares.sum(axis=1), kind="stable")]
            _draw(
                data,
                {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]},
                chosen.pictures,
                name,
            )
        print(f"| {name} | {means.sum():.3f} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def _shares(data: Dataset, path: Path, wall_mm: float, branch_mm: float) -> list[float]:
    label = data.read_label(path.name.removesuffix(data.file_ending))
    if label is None:
        raise SystemExit(f"{path}: there is no dense label of this case.")
    errors = errors_by_kind(label.array > 0, read_volume(path).array > 0, label.spacing_mm, wall_mm, branch_mm)
    size = int((label.array > 0).sum() + (read_volume(path).array > 0).sum())
    return [int(errors[kind].sum()) / size for kind in KINDS]


def _draw(data: Dataset, chosen: dict[str, Path], folder: Path, row: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place, path in chosen.items():
        case = path.name.removesuffix(data.file_ending)
        label = data.read_label(case)
        if label is not None:
            image = data.read_image(case)
            picture = overlay_png(Volume(image.array[0], image.affine), read_volume(path), label)
            (folder / f"{row}-{place}.png").write_bytes(picture)


def errors_by_kind(
    truth: BoolArray, predicted: BoolArray, spacing_mm: Spacing, wall_mm: float, branch_mm: float
) -> dict[str, BoolArray]:
    """Every wrong voxel in exactly one of `KINDS`; masks of shape (I, J, K)."""
    inside_mm = ndimage.distance_transform_edt(truth, sampling=spacing_mm)
    outside_mm = ndimage.distance_transform_edt(~truth, sampling=spacing_mm)
    core = inside_mm > branch_mm
    opened = ndimage.distance_transform_edt(~core, sampling=spacing_mm) <= branch_mm if core.any() else core
    missed, wrong = truth & ~predicted, predicted & ~truth
    branches = missed & ~opened
    depth = missed & opened & (inside_mm > wall_mm)
    leakage = wrong & (outside_mm > wall_mm)
    return {
        "walls": (missed | wrong) & ~branches & ~depth & ~leakage,
        "branches": branches,
        "depth": depth,
        "leakage": leakage,
    }


if __name__ == "__main__":
    main()
