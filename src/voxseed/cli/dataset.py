"""The command `voxseed dataset`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli import import_command, import_labels, import_points, relabel, split
from voxseed.cli.options import DatasetPath
from voxseed.cli.output import print_line, print_table
from voxseed.errors import InputError

app = typer.Typer(help="Make, look at, annotate, split and relabel a dataset.", no_args_is_help=True)


@app.command()
def check(dataset: DatasetPath) -> None:
    """Say what is there and what is wrong; exit code 2 if anything is."""
    from voxseed.data.checks import check_dataset

    result = check_dataset(dataset)
    if result.summary is None:
        raise InputError(result.findings[0].message)
    print_table(("what", "found"), result.summary.rows())
    print_line()
    if result.findings:
        print_table(("severity", "where", "what"), [(f.severity, f.where, f.message) for f in result.findings])
    if result.has_errors:
        raise InputError(f"{dataset}: there are errors, listed above. Correct them and check again.")
    print_line("No errors.")


@app.command()
def simulate(
    dataset: DatasetPath,
    protocol: Annotated[str, typer.Option(help="See voxseed list protocols.")],
    set_name: Annotated[str | None, typer.Option(help="Name of the new set; the protocol's if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the new set, where the dataset is read-only.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    margin_voxels: Annotated[tuple[int, int], typer.Option(metavar="MIN MAX", help="Of outside points and boxes.")] = (
        1,
        5,
    ),
    inside_points: Annotated[int, typer.Option(min=1, help="Per object.")] = 1,
    points: Annotated[int, typer.Option(min=1, help="Of scattered-points: per object, at most.")] = 200,
    every_slices: Annotated[int, typer.Option(min=2, help="Of slices: distance; twice that in the second plane.")] = 12,
    slices_per_volume: Annotated[
        int | None, typer.Option(min=1, help="Of slices: about so many in all, in place of --every-slices.")
    ] = None,
    planes: Annotated[str, typer.Option(help="Of slices: one or two of axial, coronal, sagittal.")] = "axial,coronal",
) -> None:
    """Simulate what a person would annotate, from dense labels."""
    from voxseed.workflows import simulate as workflow

    summary = workflow.simulate(
        dataset,
        protocol,
        set_name=set_name,
        out=out,
        seed=seed,
        margin_voxels=margin_voxels,
        inside_points=inside_points,
        points=points,
        every_slices=every_slices,
        slices_per_volume=slices_per_volume,
        planes=[plane.strip() for plane in planes.split(",")],
    )
    print_table(summary.header(), summary.rows())
    print_line(", ".join(filter(None, (f"Annotation set: {summary.path}", summary.painting()))))


app.command("import")(import_command.import_dataset)
for command in (import_labels.import_labels, import_points.import_points, split.split, relabel.relabel):
    app.command()(command)
