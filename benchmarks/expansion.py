"""How good grown points are, one-sided over ε and λ, two-sided over its thresholds and smoothing. No training.

    python -m benchmarks.expansion --data ../shared/data/Dataset101_LeftAtrium --out OUT

Measured on training and validation cases alone, because defaults are chosen from it.
"""

import argparse
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from voxseed import __version__
from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Image
from voxseed.devices import available_cores
from voxseed.files import write_text
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.quality import precision_and_recall
from voxseed.types import BACKGROUND, LabelArray
from voxseed.workflows.simulate import simulate


@dataclass(frozen=True)
class Case:
    """What is grown, and the truth."""

    name: str
    image: Image
    annotation: CaseAnnotation
    dense: LabelArray


def main() -> None:
    """Grow every case with every setting, write OUT/table.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder for points and the table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside-points", type=int, default=1)
    chosen = parser.parse_args()
    points = chosen.out / f"points-{chosen.inside_points}"
    if not points.exists():
        simulate(chosen.data, "points", out=points, seed=chosen.seed, inside_points=chosen.inside_points)
    data = Dataset.open(chosen.data)
    splits = data.splits()
    names = (*splits.train_cases(data.cases), *splits.val_cases(data.cases))
    cases = [_case(data, points, name) for name in names]
    lines = [
        f"{len(cases)} cases. Means over cases; lost: share of the object that is called background.",
        "",
        "| growth | λ | smoothing | cut | class | precision | recall | lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with ThreadPoolExecutor(available_cores()) as executor:
        for settings in _settings():
            qualities = np.array(
                list(executor.map(lambda case, settings=settings: _quality(case, data.labels, settings), cases))
            )
            for name, (precision, recall, lost) in zip(
                data.labels.foreground, np.nanmean(qualities, axis=0), strict=True
            ):
                lines.append(f"| {_row(settings)} | {name} | {precision:.3f} | {recall:.3f} | {lost:.3f} |")
    table = "\n".join(lines)
    write_text(chosen.out / "table.md", f"{table}\n\n{_circumstances(chosen)}\n")
    print(table)


def _circumstances(chosen: argparse.Namespace) -> str:
    return (
        f"{chosen.data.name}, Voxseed {__version__}, {platform.machine()}, seed {chosen.seed}, "
        f"{chosen.inside_points} inside points, {time.strftime('%Y-%m-%d')}."
    )


def _settings() -> Iterator[ExpansionSettings]:
    for weight, epsilon in product((0.5, 0.8, 1.0), (0.05, 0.1, 0.15, 0.2, 0.3)):
        yield ExpansionSettings(growth="one-sided", gradient_weight=weight, combine="sum", smoothing=0, epsilon=epsilon)
    thresholds = ((0.4, 0.9), (0.5, 0.85), (0.55, 0.75), (0.6, 0.7))
    for weight, smoothing, (foreground, background) in product((0.5, 0.8, 1.0), (0.0, 0.1, 0.15), thresholds):
        yield ExpansionSettings(
            gradient_weight=weight,
            smoothing=smoothing,
            foreground_threshold=foreground,
            background_threshold=background,
        )


def _row(settings: ExpansionSettings) -> str:
    cut = f"ε = {settings.epsilon}"
    if settings.growth == "two-sided":
        cut = f"ρ < {settings.foreground_threshold}, ρ > {settings.background_threshold}"
    return f"{settings.growth} | {settings.gradient_weight} | {settings.smoothing} | {cut}"


def _case(data: Dataset, points: object, name: str) -> Case:
    label = data.read_label(name)
    if label is None:
        raise SystemExit(f"Case {name} has no dense label to measure against.")
    dense = data.labels.to_class_indices(label.array)
    return Case(name, data.read_image(name), data.annotations(str(points)).read(name), dense)


def _quality(case: Case, labels: Labels, settings: ExpansionSettings) -> list[tuple[float, float, float]]:
    """Precision, recall, and share lost to background, per foreground class."""
    valid = valid_region(case.image.array)
    supervision = build_supervision(case.annotation, case.image, labels, settings, valid, case.name)
    rows = []
    for quality in precision_and_recall(supervision, case.dense, labels.class_count)[1:]:
        true = case.dense == quality.class_index
        lost = float((supervision.target[true] == BACKGROUND).mean()) if true.any() else float("nan")
        rows.append((quality.precision, quality.recall, lost))
    return rows


if __name__ == "__main__":
    main()
