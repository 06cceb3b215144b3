"""The command `voxseed report`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.output import print_line


def report(
    source: Annotated[Path, typer.Argument(metavar="RUN_OR_METRICS", help="A run folder or a metrics.csv.")],
    out: Annotated[Path, typer.Option("--out", help="HTML file.")],
    run: Annotated[Path | None, typer.Option(help="For a metrics.csv: the run that made the predictions.")] = None,
) -> None:
    """Write one self-contained HTML page with tables, curves and pictures."""
    from voxseed.workflows import report as workflow

    workflow.report(source, out, run=run)
    print_line(f"Report: {out}")
