"""The command `voxseed settings`."""

from typing import Annotated

import typer

from voxseed.cli.options import Preset
from voxseed.cli.output import print_table


def show_settings(
    method: Annotated[str | None, typer.Option(help="Only the sections that this method reads.")] = None,
    preset: Preset = None,
) -> None:
    """Show every setting with its value and meaning."""
    from voxseed.workflows import names

    print_table(("setting", "value", "meaning"), names.describe_settings(method, preset))
