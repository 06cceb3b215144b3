"""The command `voxseed demo`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.output import print_line


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that the demo makes.")] = Path("demo"),
    compare: Annotated[bool, typer.Option("--compare", help="Also train with partial and full supervision.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """From seven simulated points per phantom to a report, in a few minutes on two CPU cores."""
    from voxseed.workflows import demo as workflow

    summary = workflow.demo(out, compare=compare, seed=seed, say=print_line)
    print_line(summary)
