"""The command `voxseed dataset import-points`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import IntoDataset, NewSetName, NewSetOut
from voxseed.cli.output import print_line, print_table


def import_points(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Slicer's .mrk.json and .fcsv, .csv, or folders of them.")
    ],
    into: IntoDataset,
    coordinates: Annotated[
        str | None, typer.Option(metavar="RAS|LPS", help="Where the axes of .csv files point to.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="points, extreme-points, or scattered-points.")] = "points",
    set_name: NewSetName = None,
    out: NewSetOut = None,
) -> None:
    """Make an annotation set of points from 3D Slicer or from tables (case, class, object, role, x, y, z in mm)."""
    from voxseed.workflows import import_points as workflow

    summary = workflow.import_points(
        files, into, coordinates=coordinates, protocol=protocol, set_name=set_name, out=out
    )
    print_table(summary.header(), summary.rows())
    print_line(f"Annotation set: {summary.path}, {len(summary.cases)} cases.")
