"""How far from the objects annotations reach, and what predictions are worth within that reach. 3D, in mm.

    python -m benchmarks.stroke_reach --data ../shared/data/Dataset102_ACDC --annotations scribbles ROW=PREDICTIONS ...

Reach is the distance from the objects of the dense label within which 95 % of all voxels of the training cases lie that
are annotated as background: of what lies beyond, a network is hardly told anything. Per row: mean Dice over classes and
cases, the same with the prediction beyond the reach taken as background, and the share of wrong voxels that lie there.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_volume
from voxseed.metrics.overlap import dice
from voxseed.types import BACKGROUND, FloatArray, LabelArray

NEARLY_ALL = 95
"""Percent."""


def main() -> None:
    """Print the reach, and one line per row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--annotations", required=True, help="a set of label maps")
    parser.add_argument("rows", nargs="*", metavar="ROW=PREDICTIONS")
    chosen = parser.parse_args()
    data = Dataset.open(chosen.data)
    cases = data.splits().train_cases(data.cases)
    found = [_distances_mm(data, data.annotations(chosen.annotations), case) for case in cases]
    everywhere = np.concatenate([all_voxels.ravel() for all_voxels, _, _ in found])
    background = np.concatenate([painted for _, painted, _ in found])
    if not background.size:
        raise SystemExit(f"{chosen.annotations}: nothing is annotated as background in the training cases.")
    reach = float(np.percentile(background, NEARLY_ALL))
    annotated = sum(count for _, _, count in found) / everywhere.size
    print(f"{len(cases)} training cases: {100 * annotated:.1f} % of the voxels are annotated.")
    print(f"{NEARLY_ALL} % of the voxels annotated as background lie within {reach:.0f} mm of the objects,")
    print(f"{100 * (everywhere > reach).mean():.0f} % of all voxels beyond.\n")
    print("| row | Dice | within the reach alone | wrong voxels beyond |")
    print("|---|---|---|---|")
    for row in chosen.rows:
        name, _, folder = row.partition("=")
        paths = sorted(Path(folder).glob(f"*{data.file_ending}"))
        if not paths:
            raise SystemExit(f"{row}: expected ROW=FOLDER with predictions (*{data.file_ending}), found none.")
        means = np.mean([_measured(data, path, reach) for path in paths], axis=0)
        print(f"| {name} | {means[0]:.3f} | {means[1]:.3f} | {100 * means[2]:.0f} % |")


def distances_from_objects_mm(label: Volume) -> FloatArray:
    """Distance of every voxel's centre to the nearest voxel of any object; (I, J, K)."""
    distances_mm: FloatArray = ndimage.distance_transform_edt(label.array == 0, sampling=label.spacing_mm)
    return distances_mm


def _dense(data: Dataset, case: str) -> Volume:
    label = data.read_label(case)
    if label is None:
        raise SystemExit(f"Case {case} has no dense label to measure against.")
    return label


def _distances_mm(data: Dataset, annotations: AnnotationSet, case: str) -> tuple[FloatArray, FloatArray, int]:
    """Of all voxels and of those annotated as background; and how many are annotated."""
    painted = annotations.read(case).painted
    if painted is None:
        raise SystemExit(f"Case {case}: {annotations.path.name} has no label maps.")
    distances_mm = distances_from_objects_mm(_dense(data, case))
    annotated = int((painted.array != annotations.labels.ignore_value).sum())
    return distances_mm, distances_mm[painted.array == BACKGROUND], annotated


def _measured(data: Dataset, path: Path, reach_mm: float) -> list[float]:
    """Dice, Dice with background beyond the reach, share of wrong voxels beyond it."""
    label = _dense(data, path.name.removesuffix(data.file_ending))
    true, predicted = (data.labels.to_class_indices(volume.array) for volume in (label, read_volume(path)))
    beyond = distances_from_objects_mm(label) > reach_mm
    wrong = predicted != true
    return [
        _mean_dice(predicted, true, data.labels.class_count),
        _mean_dice(np.where(beyond, BACKGROUND, predicted), true, data.labels.class_count),
        float((wrong & beyond).sum() / max(1, wrong.sum())),
    ]


def _mean_dice(predicted: LabelArray, true: LabelArray, class_count: int) -> float:
    return float(np.mean([dice(predicted == index, true == index) for index in range(1, class_count)]))


if __name__ == "__main__":
    main()
