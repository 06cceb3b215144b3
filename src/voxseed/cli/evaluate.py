"""The command `voxseed evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.output import print_line


def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="Folder of predicted label maps.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of dense labels, or a dataset.")],
    out: Annotated[Path, typer.Option("--out", help="CSV file, one row per case and class.")],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OTHER.csv", help="Compare with metrics of the same cases.")
    ] = None,
    tolerance_mm: Annotated[float, typer.Option(min=0, help="Distance that NSD accepts.")] = 2.0,
) -> None:
    """Measure predictions: Dice, surface distances, volumes, missed objects and false alarms."""
    from voxseed.workflows import evaluate as workflow

    summary = workflow.evaluate(predictions, labels, out, against=against, tolerance_mm=tolerance_mm)
    print_line(summary.text())
