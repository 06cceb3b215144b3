"""The command `voxseed annotate`."""

from typing import Annotated

import typer

from voxseed.cli.options import DatasetPath
from voxseed.cli.output import print_line
from voxseed.errors import InputError


def annotate(
    dataset: DatasetPath,
    annotations: Annotated[
        str | None, typer.Option("--annotations", metavar="SET", help="Name or path of the set to write: page.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="8765, or a free one.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others can reach it then.")] = "127.0.0.1",
) -> None:
    """Annotate in the browser: points, boxes, strokes; what grows from them is shown at once."""
    try:
        from voxseed.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise InputError(f"The page needs {error.name}: pip install 'voxseed[web]'.") from None
    serve.annotate(dataset, annotations, host, port, not no_browser, print_line)
