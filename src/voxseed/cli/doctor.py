"""The command `voxseed doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.output import print_line, print_table
from voxseed.errors import InputError


def doctor(
    cache: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Of preprocessed cases, as for train.")] = None,
) -> None:
    """Say whether this machine can train and what to do about each problem; exit code 2 if something stops it."""
    from voxseed.workflows import doctor as workflow

    examined = workflow.examine(cache)
    print_table(("what", "found", "what to do"), [(each.what, each.found, each.remedy) for each in examined])
    print_line()
    stopping = [each.what for each in examined if each.stops_training]
    if stopping:
        raise InputError(f"{', '.join(stopping)}: training would stop. The table says what to do.")
    print_line("Nothing stops training.")
