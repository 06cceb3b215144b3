"""The command `voxseed dataset import-labels`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import IntoDataset, NewSetName, NewSetOut, pairs
from voxseed.cli.output import print_line, print_table
from voxseed.errors import InputError

_Values = list[str] | None


def import_labels(
    maps: Annotated[list[Path], typer.Argument(metavar="MAPS", help="Label maps, or folders of them.")],
    into: IntoDataset,
    unannotated: Annotated[_Values, typer.Option(metavar="VALUE", help="Nobody looked there. Repeatable.")] = None,
    background: Annotated[_Values, typer.Option(metavar="VALUE", help="Painted background. Repeatable.")] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="VALUE=LABEL", help="Another value of a label. Repeatable.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Kind; dense: every voxel annotated; noisy-dense: labelled by a tool.")
    ] = "painted",
    set_name: NewSetName = None,
    out: NewSetOut = None,
) -> None:
    """Make an annotation set of maps that were painted with another tool."""
    from voxseed.workflows import import_labels as workflow

    summary = workflow.import_labels(
        maps,
        into,
        unannotated=[_value(word, "--unannotated") for word in unannotated or []],
        background=[_value(word, "--background") for word in background or []],
        names={_number(value): name for value, name in pairs(map_ or [], "--map", "VALUE=LABEL").items()},
        protocol=protocol,
        set_name=set_name,
        out=out,
    )
    print_table(summary.header(), summary.rows())
    print_line(f"Annotation set: {summary.path}, {len(summary.cases)} cases.")


def _value(word: str, option: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise InputError(
            f"{option} {word}: expected a value of the map, a whole number, such as {option} 9. That a value is a "
            "label of the dataset is said with --map, such as --map 3=tumour."
        ) from None


def _number(word: str) -> int:
    if not word.isdecimal():
        raise InputError(f"--map {word}: expected VALUE=LABEL with a whole number, such as 3=tumour.")
    return int(word)
