"""Serving the page until Ctrl-C."""

import secrets
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import uvicorn

from voxseed.data.datasets import Dataset
from voxseed.server.address import address, bind, is_allowed_host
from voxseed.server.app import create_app
from voxseed.server.guard import Guard
from voxseed.server.page import read_page
from voxseed.server.workspace import DEFAULT_SET, Workspace, set_place
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.geodesic import geodesic_distance

_TOKEN_BYTES = 32
_SHUTDOWN_SECONDS = 3


def annotate(
    dataset: str | Path,
    annotations: str | None,
    host: str,
    port: int | None,
    open_browser: bool,
    say: Callable[[str], None],
) -> None:
    """Serve the annotation page of a dataset until it is interrupted.

    Args:
        dataset: folder in the nnU-Net raw layout.
        annotations: name or path of the set to write.
        host: address to listen on.
        port: None for the usual one.
        open_browser: whether to open the page.
        say: prints a line.

    Raises:
        InputError: if the dataset, the set or the port cannot be used, or the page was not built.
    """
    data, page = Dataset.open(dataset), read_page()
    workspace = Workspace(data, set_place(data, annotations))
    try:
        with bind(host, port) as listener:
            port = int(listener.getsockname()[1])
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            guarded = Guard(
                create_app(workspace, page, ExpansionSettings()),
                token,
                lambda header: is_allowed_host(header, host, port),
            )
            say(f"Annotating {data.name} into {workspace.path}. Open {address(host, port, token)}")
            say("Everything is saved as you click. Ctrl-C stops the server.")
            threading.Thread(target=_warm_up, daemon=True).start()
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address(host, port, token),), daemon=True).start()
            configuration = uvicorn.Config(
                guarded,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            )
            uvicorn.Server(configuration).run(sockets=[listener])
    except KeyboardInterrupt:
        say(f"Stopped. To train on it: voxseed train {dataset} --annotations {annotations or DEFAULT_SET}")
    finally:
        workspace.close()


def _warm_up() -> None:
    """Compile the geodesic distance before the first growth asks for it."""
    tiny = np.ones((3, 3, 3), dtype=bool)
    geodesic_distance(
        np.zeros((1, 3, 3, 3), np.float32), tiny, tiny, (1.0, 1.0, 1.0), gradient_weight=0.5, length_scale_mm=1.0
    )
