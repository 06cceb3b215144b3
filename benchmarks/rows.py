"""Rows of a table of methods: train, predict the test cases, measure. What is done is not done again."""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from voxseed import __version__
from voxseed.data.datasets import Dataset
from voxseed.evaluation.comparison import compare_rows
from voxseed.evaluation.metrics_file import read_metrics
from voxseed.evaluation.statistics import ClassSummary, Estimate, summarise
from voxseed.workflows.evaluate import evaluate
from voxseed.workflows.predict import predict
from voxseed.workflows.train import train


@dataclass(frozen=True)
class Measured:
    """A line of a table.

    Attributes:
        metrics: its metrics.csv.
        minutes: of training, all stages up to this line; None where it shares the line above.
    """

    name: str
    metrics: Path
    minutes: float | None


@dataclass(frozen=True)
class Experiment:
    """What all rows of a table share.

    Attributes:
        cases: that are predicted and measured.
        settings: "section.key=value", the same for every row.
    """

    dataset: Path
    annotations: Path | str | None
    out: Path
    cases: tuple[str, ...]
    settings: tuple[str, ...]

    def trained(self, name: str, method: str, extra: Sequence[str] = ()) -> Path:
        """The run of a row, trained to its end."""
        run = self.out / name / "run"
        dense = method == "full"
        train(
            self.dataset,
            annotations=None if dense else self.annotations,
            method=method,
            run=run,
            overrides=(*self.settings, *extra),
            resume=True,
            cache=self.out / "cache",
        )
        return run

    def measured(self, name: str, model: Path, ensemble: bool = False) -> Measured:
        """Metrics of a run, or of one of its stages, on the cases."""
        metrics = self.out / name / "metrics.csv"
        if not metrics.exists():
            data = Dataset.open(self.dataset)
            images = [path for case in self.cases for path in data.image_paths(case)]
            predict(model, images, self.out / name / "predictions", ensemble=ensemble)
            evaluate(self.out / name / "predictions", self.dataset, metrics)
        return Measured(name, metrics, None if ensemble else _minutes(model))


def stage_one_of(run: Path) -> Path:
    """The model that a pa-seg run had after its first stage."""
    return run / "stages" / "01-stage-one"


def test_cases(dataset: Path) -> tuple[str, ...]:
    """Test cases of a dataset's splits.json, or else of its imagesTs."""
    data = Dataset.open(dataset)
    return data.splits().test_cases(data.cases) or data.test_cases


def training_and_validation_cases(data: Dataset) -> tuple[str, ...]:
    """Cases that settings may be chosen on."""
    splits = data.splits()
    return (*splits.train_cases(data.cases), *splits.val_cases(data.cases))


def markdown_table(rows: Sequence[Measured], reference: Measured, baseline: Measured) -> str:
    """One line per row and class: Dice, ASSD, HD95 with bootstrap intervals over cases, and p against a baseline.

    Args:
        reference: row whose Dice is 100 %.
        baseline: row that the others are tested against.
    """
    several = len(summarise(read_metrics(reference.metrics))) > 1
    upper = {summary.class_name: summary for summary in summarise(read_metrics(reference.metrics))}
    lines = [
        "| row | class | Dice | share of full | ASSD (mm) | HD95 (mm) | missed | training (min) "
        f"| Dice − {baseline.name} (paired t, Wilcoxon p) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for summary in summarise(read_metrics(row.metrics)):
            dice, full = summary.estimates["dice"], upper[summary.class_name].estimates["dice"]
            cells = [
                row.name,
                summary.class_name if several else "",
                _cell(dice, 3),
                f"{100 * _mean(dice) / _mean(full):.1f} %",
                _cell(summary.estimates["assd_mm"], 2),
                _cell(summary.estimates["hd95_mm"], 1),
                f"{summary.missed} of {summary.cases}",
                "" if row.minutes is None else f"{row.minutes:.0f}",
                "" if row == baseline else _against(row, baseline, summary),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def circumstances(settings: Sequence[str], seed: int) -> str:
    """Versions, hardware, seed, settings and command, as a paragraph."""
    command = shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *_public(sys.argv[1:])])
    return (
        f"Voxseed {__version__}, PyTorch {torch.__version__.split('+')[0]}, {platform.machine()}, "
        f"{torch.get_num_threads()} threads, seed {seed}, {time.strftime('%Y-%m-%d')}.\n"
        f"Settings beside the defaults: {', '.join(f'`{s}`' for s in settings) or 'none'}.\n"
        f"Command: `{command}`"
    )


def arguments(description: str) -> argparse.ArgumentParser:
    """Arguments that every table has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and the table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser


def _minutes(model: Path) -> float:
    """Of all stages up to the one that left the model."""
    run = model.parents[1] if model.parent.name == "stages" else model
    last = model.name if model.parent.name == "stages" else "~"
    seconds = 0.0
    for metrics in sorted((run / "stages").glob("*/metrics.csv")):
        if metrics.parent.name <= last:
            rows = [line.split(",") for line in metrics.read_text().splitlines()]
            seconds += sum(float(row[rows[0].index("seconds")]) for row in rows[1:])
    return seconds / 60


def _against(row: Measured, baseline: Measured, summary: ClassSummary) -> str:
    for comparison in compare_rows(read_metrics(row.metrics), read_metrics(baseline.metrics)):
        if comparison.class_name == summary.class_name and comparison.metric == "dice":
            return f"{_cell(comparison.difference, 3)} ({_p(comparison.t_test_p)}, {_p(comparison.wilcoxon_p)})"
    return ""


def _mean(value: Estimate) -> float:
    return float("nan") if value.mean is None else value.mean


def _cell(value: Estimate, digits: int) -> str:
    if value.mean is None or value.low is None:
        return "–"
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _public(words: Sequence[str]) -> list[str]:
    """Paths as their last part."""
    return [Path(word).name if "/" in word else word for word in words]


def append_log(path: Path, entry: dict[str, object]) -> None:
    """One line of JSON."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
