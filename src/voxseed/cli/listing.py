"""The command `voxseed list`."""

from typing import Annotated

import typer

from voxseed.cli.output import print_table


def list_names(
    kind: Annotated[str, typer.Argument(metavar="methods|networks|losses|protocols|presets|tables")],
) -> None:
    """List what can be chosen by name."""
    from voxseed.workflows import names

    print_table((kind, "what it is"), names.list_names(kind))
