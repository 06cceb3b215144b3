"""Dice on test cases against the number of annotated cases, for several orders of annotating them.

    python -m benchmarks.annotate_next --data ../shared/data/Dataset004_Hippocampus --out OUT

Each seed draws which cases are annotated first, the same for all orders. Then a model is trained from points simulated
on the annotated cases, the test cases are predicted and measured, the training cases of splits.json are predicted, and
the order chooses who is annotated next:

    random     a random order, of the same draw as the first cases
    lowest     the lowest expected Dice
    proposed   `voxseed.workflows.propose`

A training that is done is not done again. OUT/curve.md is the table.
"""

import argparse
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from voxseed import __version__
from voxseed.data.datasets import Dataset
from voxseed.evaluation.statistics import mean_over_classes
from voxseed.files import read_json_object, write_json, write_text
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.predict import predict
from voxseed.workflows.prediction_records import PredictionRecord, read_record
from voxseed.workflows.propose import propose
from voxseed.workflows.simulate import simulate
from voxseed.workflows.train import train

Order = Callable[[Sequence[PredictionRecord], Sequence[str], Sequence[str], int], Sequence[str]]
"""Of records, annotated cases, the seed's random order, and how many: the next cases."""


def _random(_: Sequence[PredictionRecord], annotated: Sequence[str], shuffled: Sequence[str], count: int) -> list[str]:
    return [case for case in shuffled if case not in annotated][:count]


def _lowest(records: Sequence[PredictionRecord], annotated: Sequence[str], _: Sequence[str], count: int) -> list[str]:
    ranked = sorted(records, key=lambda record: record.mean_expected_dice)
    return [record.case for record in ranked if record.case not in annotated][:count]


def _proposed(
    records: Sequence[PredictionRecord], annotated: Sequence[str], _: Sequence[str], count: int
) -> Sequence[str]:
    return propose(records, annotated, count)


ORDERS: dict[str, Order] = {"random": _random, "lowest": _lowest, "proposed": _proposed}


@dataclass(frozen=True)
class Experiment:
    """What is the same for all trainings."""

    data: Dataset
    points: Path
    out: Path
    settings: tuple[str, ...]
    counts: tuple[int, ...]

    def curve(self, seed: int, order: str) -> list[float]:
        """Mean Dice of the test cases after each count of annotated cases."""
        pool = self.data.splits().train_cases(self.data.cases)
        shuffled = [pool[index] for index in np.random.default_rng(seed).permutation(len(pool))]
        annotated = shuffled[: self.counts[0]]
        dices = []
        for index, count in enumerate(self.counts):
            folder = self.out / f"seed-{seed}" / (f"{order}-{count}" if index else f"all-{count}")
            dices.append(self._step(folder, annotated, seed))
            if count != self.counts[-1]:
                records = [] if order == "random" else self._records(folder, pool)
                annotated = [*annotated, *ORDERS[order](records, annotated, shuffled, self.counts[index + 1] - count)]
            print(f"{folder}: {dices[-1]:.4f}", flush=True)
        return dices

    def _step(self, folder: Path, annotated: Sequence[str], seed: int) -> float:
        """Train, predict the test cases, measure; or what was measured already."""
        done = folder / "step.json"
        if done.is_file():
            content = read_json_object(done)
            if content["annotated"] != list(annotated):
                raise SystemExit(f"{folder}: of other annotated cases. Remove it, or choose another --out.")
            return float(content["dice"])
        train(
            self.data.root,
            annotations=self._annotations_of(annotated, folder / "points"),
            method="partial",
            run=folder / "run",
            preset="small",
            overrides=(*self.settings, f"training.seed={seed}"),
            resume=True,
            device="cpu",
            cache=self.out / "cache",
        )
        test = self.data.splits().test
        predict(folder / "run", self._images(test), folder / "test", device="cpu")
        rows = evaluate(folder / "test", self.data.root, folder / "metrics.csv").rows
        dices = [dice for dice in mean_over_classes(rows, "dice").values() if dice is not None]
        write_json(done, {"annotated": list(annotated), "dice": float(np.mean(dices))})
        return float(np.mean(dices))

    def _annotations_of(self, cases: Sequence[str], folder: Path) -> Path:
        """A set with the points of these cases alone."""
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copy(self.points / "annotations.json", folder)
            for case in cases:
                shutil.copytree(self.points / case, folder / case)
        return folder

    def _records(self, folder: Path, pool: Sequence[str]) -> list[PredictionRecord]:
        predict(folder / "run", self._images(pool), folder / "pool", shard="1/1", device="cpu")
        records = (read_record(folder / "pool", case) for case in pool)
        return [record for record in records if record is not None]

    def _images(self, cases: Sequence[str]) -> list[Path]:
        return [path for case in cases for path in self.data.image_paths(case)]


def main() -> None:
    """Train what is missing, write OUT/curve.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset with dense labels and splits.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=ORDERS)
    parser.add_argument("--counts", type=int, nargs="+", default=[4, 8, 12, 16, 24])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--inside-points", type=int, default=3)
    parser.add_argument("--set", nargs="+", default=["training.iterations=200"], help="settings beside preset small")
    chosen = parser.parse_args()
    points = chosen.out / "points"
    if not points.exists():
        simulate(chosen.data, "points", out=points, inside_points=chosen.inside_points)
    experiment = Experiment(
        Dataset.open(chosen.data), points, chosen.out, tuple(chosen.set), tuple(sorted(chosen.counts))
    )
    curves: dict[str, list[list[float]]] = {order: [] for order in chosen.orders}
    for seed in chosen.seeds:
        for order in chosen.orders:
            curves[order].append(experiment.curve(seed, order))
    table = _table({order: np.array(rows) for order, rows in curves.items()}, experiment.counts)
    write_text(chosen.out / "curve.md", f"{table}\n\n{_circumstances(chosen)}\n")
    print(table)


def _table(curves: dict[str, np.ndarray], counts: Sequence[int]) -> str:
    """Means over seeds, with the seeds in brackets; `curves` are (seeds, counts)."""
    lines = [
        "| order | " + " | ".join(f"{count} cases" for count in counts) + " | mean from the second on |",
        "|---|" + "---|" * (len(counts) + 1),
    ]
    for order, dices in curves.items():
        cells = [f"{column.mean():.3f} ({', '.join(f'{dice:.3f}' for dice in column)})" for column in dices.T]
        later = dices[:, 1:].mean(axis=1)
        lines.append(f"| {order} | {' | '.join(cells)} | {later.mean():.3f} ({', '.join(f'{x:.3f}' for x in later)}) |")
    return "\n".join(lines)


def _circumstances(chosen: argparse.Namespace) -> str:
    return (
        f"{chosen.data.name}, Voxseed {__version__}, PyTorch {torch.__version__}, {platform.machine()}, seeds "
        f"{chosen.seeds}, {chosen.inside_points} inside points, {' '.join(chosen.set)}, {time.strftime('%Y-%m-%d')}."
    )


if __name__ == "__main__":
    main()
