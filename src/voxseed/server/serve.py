"""Serving the page until Ctrl-C."""

import secrets
import threading
import webbrowser
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.server.address import address, bind, is_allowed_host
from voxseed.server.app import create_app
from voxseed.server.guard import Guard
from voxseed.server.page import read_page
from voxseed.server.workspace import DEFAULT_SET, Workspace, set_of_corrections, set_place
from voxseed.shell import voxseed_command
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.geodesic import geodesic_distance
from voxseed.workflows.background_prediction import BackgroundPrediction
from voxseed.workflows.review import Review, ReviewedModel, review_folder

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
    with closing(Workspace(data, set_place(data, annotations))) as workspace:
        what = f"Annotating {data.name} into {workspace.path}."
        _serve(create_app(workspace, page, ExpansionSettings()), host, port, open_browser, say, what)
        say(_stopped(dataset, annotations or DEFAULT_SET))


def review(
    run: str | Path,
    dataset: str | Path,
    annotations: str | None,
    out: str | Path | None,
    device: str,
    host: str,
    port: int | None,
    open_browser: bool,
    say: Callable[[str], None],
) -> None:
    """Predict the cases of a dataset that are not predicted yet, and serve the page that shows and corrects them.

    Args:
        run: a run, or a model folder.
        dataset: folder in the nnU-Net raw layout; its cases of imagesTr are reviewed.
        annotations: name or path of the set into which corrections go; see `set_of_corrections`.
        out: folder of the predictions; None takes `review_folder`.
        device: auto, cpu or cuda.
        host: address to listen on.
        port: None for the usual one.
        open_browser: whether to open the page.
        say: prints a line.

    Raises:
        InputError: if the run, the dataset, the set, the folder or the port cannot be used, or the page was not built.
    """
    data, page, run = Dataset.open(dataset), read_page(), Path(run)
    if not data.cases:
        raise InputError(f"{dataset}: no case in imagesTr, and only those are reviewed. Put them there.")
    annotations = set_of_corrections(data, annotations)
    folder = review_folder(run, data) if out is None else Path(out)
    model = ReviewedModel.load(run, device)
    with (
        closing(Review(data, model, folder)) as reviewed,
        closing(Workspace(data, set_place(data, annotations))) as workspace,
    ):
        missing = reviewed.missing()
        predicting = BackgroundPrediction(run, missing, folder, model.options)
        try:
            if missing:
                predicting.start()
            say(f"{len(data.cases) - len(missing)} of {len(data.cases)} cases are predicted in {folder}.")
            app = create_app(workspace, page, ExpansionSettings(), reviewed=(reviewed, predicting))
            _serve(app, host, port, open_browser, say, f"Reviewing {data.name}, corrections go into {workspace.path}.")
            say(_stopped(dataset, annotations))
        finally:
            predicting.stop()


def _stopped(dataset: str | Path, annotations: str | Path) -> str:
    command = voxseed_command("train", dataset, "--annotations", annotations)
    return f"Stopped. To train on it: {command}"


def _serve(
    app: FastAPI, host: str, port: int | None, open_browser: bool, say: Callable[[str], None], what: str
) -> None:
    """Serve an application behind the guard until it is interrupted; says `what` it is, and where."""
    with suppress(KeyboardInterrupt), bind(host, port) as listener:
        bound = int(listener.getsockname()[1])
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        guarded = Guard(app, token, lambda header: is_allowed_host(header, host, bound))
        say(f"{what} Open {address(host, bound, token)}")
        say("Everything is saved as you click. Ctrl-C stops the server.")
        threading.Thread(target=_warm_up, daemon=True).start()
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address(host, bound, token),), daemon=True).start()
        configuration = uvicorn.Config(
            guarded,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        uvicorn.Server(configuration).run(sockets=[listener])


def _warm_up() -> None:
    """Compile the geodesic distance before the first growth asks for it."""
    tiny = np.ones((3, 3, 3), dtype=bool)
    geodesic_distance(
        np.zeros((1, 3, 3, 3), np.float32), tiny, tiny, (1.0, 1.0, 1.0), gradient_weight=0.5, length_scale_mm=1.0
    )
