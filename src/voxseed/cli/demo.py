"""The command `voxseed demo`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Device
from voxseed.cli.output import print_line, print_table

_NEXT = """
Report: {out}/report.html

Your own data, in the nnU-Net raw layout, with points from 3D Slicer in annotations/points:
  voxseed dataset check DATASET
  voxseed train DATASET --run RUN
  voxseed predict RUN IMAGES --out PREDICTIONS
  voxseed evaluate PREDICTIONS LABELS --out RUN/metrics.csv
  voxseed report RUN --out report.html"""


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that the demo makes.")] = Path("demo"),
    compare: Annotated[bool, typer.Option("--compare", help="Also train with partial and full supervision.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
) -> None:
    """From seven simulated points per phantom to a report, in a few minutes on two CPU cores."""
    from voxseed.workflows import demo as workflow

    rows = workflow.demo(out, compare=compare, seed=seed, device=device, say=print_line)
    print_line()
    print_table(("method", "Dice", "ASSD (mm)", "HD95 (mm)", "missed"), [row.cells() for row in rows])
    print_line(_NEXT.format(out=out))
