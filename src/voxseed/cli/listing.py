"""The command `voxseed list`."""

from typing import Annotated

import typer

from voxseed.cli.output import print_table
from voxseed.shell import voxseed_command


def list_names(
    kind: Annotated[str | None, typer.Argument(metavar="methods|networks|losses|protocols|presets|tables")] = None,
) -> None:
    """List what can be chosen by name; without an argument, what can be listed."""
    from voxseed.workflows import names

    if kind is None:
        print_table(("command",), [(voxseed_command("list", each),) for each in names.list_kinds()])
        return
    print_table((kind, "what it is"), names.list_names(kind))
