"""The command `voxseed dataset split`."""

from typing import Annotated

import typer

from voxseed.cli.options import DatasetPath
from voxseed.cli.output import print_line, print_table


def split(
    dataset: DatasetPath,
    folds: Annotated[int, typer.Option(help="How many, 2 or more.")] = 5,
    group: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Cases with the same first group stay together: one patient's."),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the cases that no fold has.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Write over splits that are there.")] = False,
) -> None:
    """Divide the cases into folds and test cases: splits.json."""
    from voxseed.workflows import split as workflow

    summary = workflow.split(dataset, folds, group=group, test_share=test_share, seed=seed, replace=replace)
    print_table(summary.header(), summary.rows())
    print_line(f"Splits: {summary.path}. Train on one with --fold 0 to {folds - 1}.")
