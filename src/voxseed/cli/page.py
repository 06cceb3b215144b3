"""What the commands that serve the page share."""

from types import ModuleType
from typing import Annotated

import typer

from voxseed.errors import InputError

WrittenSet = Annotated[
    str | None, typer.Option("--annotations", metavar="SET", help="Name or path of the set to write: page.")
]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="8765, or a free one.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address only.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; others can reach it then.")]


def import_serve() -> ModuleType:
    """The module `server.serve`.

    Raises:
        InputError: if a package of the extra `web` is missing.
    """
    try:
        from voxseed.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise InputError(f"The page needs {error.name}: pip install 'voxseed[web]'.") from None
    return serve
