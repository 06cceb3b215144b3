"""The command `voxseed review`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import DatasetPath, Device
from voxseed.cli.output import print_line
from voxseed.cli.page import Host, NoBrowser, Port, WrittenSet, import_serve


def review(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run, or a folder with a model.")],
    dataset: DatasetPath,
    annotations: WrittenSet = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the predictions: RUN-review/DIR, beside the run.")
    ] = None,
    device: Device = "auto",
    port: Port = None,
    no_browser: NoBrowser = False,
    host: Host = "127.0.0.1",
) -> None:
    """Look at predictions in the browser, the worst first: accept, flag, or correct them for the next training."""
    import_serve().review(run, dataset, annotations, out, device, host, port, not no_browser, print_line)
