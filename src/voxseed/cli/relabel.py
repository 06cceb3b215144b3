"""The command `voxseed dataset relabel`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import DatasetPath, pairs
from voxseed.cli.output import print_line, print_table


def relabel(
    dataset: DatasetPath,
    rename: Annotated[list[str] | None, typer.Option(metavar="OLD=NEW", help="Rename a class. Repeatable.")] = None,
    add: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Add a class. Repeatable.")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="All names after the change; those that are new are added.")
    ] = None,
    annotations: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="An annotation set outside the dataset. Repeatable.")
    ] = None,
) -> None:
    """Rename or add classes everywhere: dataset.json, label maps, annotation sets; or finish what was stopped."""
    from voxseed.workflows import relabel as workflow

    renames = pairs(rename or [], "--rename", "OLD=NEW")
    names = None if labels is None else [name.strip() for name in labels.split(",")]
    summary = workflow.relabel(dataset, renames, add or [], labels=names, annotations=annotations or [])
    if summary.finished:
        print_line("Finished what was stopped before.")
    if summary.changed:
        print_table(summary.header(), summary.rows())
    print_line(f"Labels: {dict(summary.labels)}")
