"""The HTTP API of the annotation page. What may reach it is decided in `guard`."""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from threading import Lock, Thread
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from isal import igzip

from voxseed import __version__
from voxseed.errors import InputError, UnwritableError
from voxseed.server.growth import ShownGrowth, grow_shown, growth_warnings, preview_steps
from voxseed.server.leases import Leases, TakenError
from voxseed.server.objects import PlacedObject, problem_of, read_placed, remove_placed, write_placed
from voxseed.server.page import PageFile
from voxseed.server.painting import PaintedMaps, slices_between
from voxseed.server.review import Predicting, ReviewApi
from voxseed.server.schemas import (
    AbsentMessage,
    BetweenRequest,
    CaseMessage,
    ClientMessage,
    DatasetMessage,
    GrowthMessage,
    GrowthRequest,
    ListedCase,
    ObjectMessage,
    PaintMessage,
    SavedObject,
    SliceMessage,
    StateMessage,
    Writer,
)
from voxseed.server.volumes import Volumes, canonical_grid
from voxseed.server.workspace import OutsideError, UnknownCaseError, Workspace
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.types import Shape3
from voxseed.workflows.review import NotPredictedError, Review

_CHUNK_BYTES = 2**20
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})")
_STATUS = {UnknownCaseError: 404, NotPredictedError: 404, OutsideError: 403, TakenError: 409, UnwritableError: 507}
_REFUSED = 422


def create_app(
    workspace: Workspace,
    page: dict[str, PageFile],
    settings: ExpansionSettings,
    leases: Leases | None = None,
    reviewed: tuple[Review, Predicting] | None = None,
) -> FastAPI:
    """The application, unguarded.

    Args:
        workspace: what is annotated.
        page: the files of the built page.
        settings: how points are grown.
        leases: who writes to which case.
        reviewed: predictions to review, and what brings those that are missing; None only annotates.
    """
    leases = leases or Leases()
    app = FastAPI(
        title="Voxseed annotation",
        version=__version__,
        description="Annotate a dataset. Positions are RAS+ mm. Claim a case before writing to it.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.exception_handler(InputError)(_refused)
    _Api(workspace, settings, leases, reviewed is not None).add_to(app)
    if reviewed is not None:
        ReviewApi(workspace, *reviewed, leases).add_to(app)
    for name, file in page.items():
        _add_page_file(app, "/" if name == "index.html" else f"/{name}", file)
    return app


class _Api:
    """The routes, and what they share. FastAPI calls them in threads."""

    def __init__(self, workspace: Workspace, settings: ExpansionSettings, leases: Leases, is_review: bool) -> None:
        self._workspace = workspace
        self._is_review = is_review
        self._settings = settings
        self._leases = leases
        self._volumes = Volumes(workspace)
        self._painted = PaintedMaps(workspace)
        self._writing = Lock()
        self._grown = lru_cache(maxsize=8)(self._grow)

    def add_to(self, app: FastAPI) -> None:
        """Register every route."""
        app.get("/api/dataset")(self.dataset)
        app.get("/api/cases")(self.cases)
        app.get("/api/cases/{case}")(self.case)
        app.get("/api/cases/{case}/channels/{channel}", response_class=StreamingResponse)(self.channel)
        app.get("/api/cases/{case}/painted", response_class=Response)(self.painted)
        app.post("/api/cases/{case}/claim")(self.claim)
        app.post("/api/cases/{case}/release")(self.release)
        app.put("/api/cases/{case}/objects")(self.put_object)
        app.delete("/api/cases/{case}/objects")(self.delete_object)
        app.put("/api/cases/{case}/state")(self.put_state)
        app.put("/api/cases/{case}/absent")(self.put_absent)
        app.patch("/api/cases/{case}/painted")(self.paint)
        app.post("/api/cases/{case}/painted/between")(self.between)
        app.post("/api/cases/{case}/growth")(self.growth)

    def dataset(self) -> DatasetMessage:
        """What is annotated, and how points grow."""
        data = self._workspace.data
        return DatasetMessage(
            name=data.name,
            set_name=self._workspace.path.name,
            set_id=hashlib.sha256(str(self._workspace.path).encode()).hexdigest()[:32],
            protocol=self._workspace.protocol,
            classes=list(data.labels.foreground),
            channels=list(data.channel_names),
            foreground_threshold=self._settings.foreground_limit,
            background_threshold=min(1.0, self._settings.background_limit),
            is_review=self._is_review,
        )

    def cases(self) -> JSONResponse:
        """Every case and its state."""
        states = self._workspace.states().items()
        return JSONResponse([ListedCase(name=name, state=state).model_dump() for name, state in states])

    def case(self, case: str) -> CaseMessage:
        """A case: its grid in canonical order, and what was annotated."""
        workspace = self._workspace
        workspace.image_paths(case)
        grid = workspace.data.read_grid(case)
        turned = canonical_grid(grid)
        placed = read_placed(workspace, case).values()
        return CaseMessage(
            name=case,
            state=workspace.state(case),
            shape=turned.shape,
            affine=turned.affine.tolist(),
            absent=sorted(workspace.absent(case)),
            objects=[self._saved(case, item) for item in placed],
        )

    def channel(
        self, case: str, channel: int, coarse: bool = False, wanted: Annotated[str, Header(alias="range")] = ""
    ) -> StreamingResponse:
        """The image, as uncompressed NIfTI in canonical order; `coarse`: a small copy; one range of bytes if asked."""
        if not 0 <= channel < len(self._workspace.data.channel_names):
            raise UnknownCaseError(f"{case}: no channel {channel}.")
        content = self._volumes.encoded(case, channel, coarse)
        start, stop = _range_of(wanted, len(content))
        headers = {"content-length": str(stop - start), "accept-ranges": "bytes"}
        if stop - start < len(content):
            headers["content-range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        if stop == len(content) and not coarse:  # the end is what the page asks for last
            Thread(target=self._prepare, args=(case,), daemon=True).start()  # Ctrl-C does not wait for it
        return StreamingResponse(
            _chunks(memoryview(content)[start:stop]),
            status_code=206 if "content-range" in headers else 200,
            media_type="application/octet-stream",
            headers=headers,
        )

    def painted(self, case: str) -> Response:
        """The painted map: a byte per voxel in canonical order, first axis fastest; class index, 255 unannotated.

        204, and nothing, where nobody painted.
        """
        self._workspace.require_case(case)
        if not self._painted.is_there(case):
            return Response(status_code=204)
        content = self._painted.read(case).array.tobytes(order="F")
        headers = {"content-encoding": "gzip"}
        return Response(igzip.compress(content, 1), media_type="application/octet-stream", headers=headers)

    def claim(self, case: str, message: ClientMessage) -> StateMessage:
        """Become the writer of a case, or stay it; repeat this every 10 seconds."""
        self._workspace.require_case(case)
        self._leases.claim(case, message.client, message.take_over)
        return StateMessage(state=self._workspace.state(case))

    def release(self, case: str, message: ClientMessage) -> StateMessage:
        """Let others write to a case."""
        self._workspace.require_case(case)
        self._leases.release(case, message.client)
        return StateMessage(state=self._workspace.state(case))

    def put_object(self, case: str, message: ObjectMessage, client: Writer) -> SavedObject:
        """Save everything that was placed on an object, in place of what was there. On disk before the answer."""
        with self._writing:
            self._require_writer(case, client)
            item = message.to_placed()
            write_placed(self._workspace, case, item)
        return self._saved(case, item)

    def delete_object(self, case: str, class_name: str, object_number: int, client: Writer) -> StateMessage:
        """Remove an object."""
        with self._writing:
            self._require_writer(case, client)
            remove_placed(self._workspace, case, (class_name, object_number))
        return StateMessage(state=self._workspace.state(case))

    def put_state(self, case: str, message: StateMessage, client: Writer) -> StateMessage:
        """Call a case done or flagged, or neither."""
        with self._writing:
            self._require_writer(case, client)
            self._workspace.set_state(case, message.state)
        return StateMessage(state=self._workspace.state(case))

    def put_absent(self, case: str, message: AbsentMessage, client: Writer) -> AbsentMessage:
        """Say which classes do not occur in a case."""
        with self._writing:
            self._require_writer(case, client)
            placed = {item.class_name for item in read_placed(self._workspace, case).values()}
            contradicted = sorted(placed & set(message.classes))
            if contradicted:
                raise InputError(
                    f"{contradicted[0]} is annotated in {case}; remove that first, or do not call it absent."
                )
            self._workspace.set_absent(case, frozenset(message.classes))
        return message

    def paint(self, case: str, message: PaintMessage, client: Writer) -> StateMessage:
        """Change slices of the painted map. On disk before the answer."""
        with self._writing:
            self._require_writer(case, client)
            self._painted.edit(case, [item.to_edit() for item in message.slices])
        return StateMessage(state=self._workspace.state(case))

    def between(self, case: str, message: BetweenRequest) -> PaintMessage:
        """What would fill a class between the slices on which it is painted; nothing is changed."""
        self._workspace.require_case(case)
        edits = slices_between(self._painted.read(case).array, message.axis, message.class_index)
        return PaintMessage(slices=[SliceMessage.of(edit) for edit in edits])

    def growth(self, case: str, message: GrowthRequest) -> GrowthMessage:
        """Grow an object that is complete."""
        self._workspace.require_case(case)
        item = read_placed(self._workspace, case).get((message.class_name, message.object_number))
        if item is None:
            raise UnknownCaseError(f"{case}: no object {message.object_number} of {message.class_name}.")
        steps = preview_steps(item, self._workspace.data.read_grid(case)) if message.preview else (1, 1, 1)
        grown = self._grown(case, item.key, item.roles, item.points_mm.tobytes(), steps)
        threshold = self._settings.foreground_limit if message.threshold is None else message.threshold
        levels = grown.levels().tobytes(order="F") if message.with_levels else b""
        i, j, k = grown.ratio.shape
        return GrowthMessage(
            start=grown.start,
            shape=(i, j, k),
            levels=base64.b64encode(levels).decode("ascii"),
            threshold=threshold,
            background_threshold=min(1.0, self._settings.background_limit),
            warnings=growth_warnings(grown, threshold),
            exact=steps == (1, 1, 1),
        )

    def _grow(
        self, case: str, key: tuple[str, int], roles: tuple[str, ...], positions: bytes, steps: Shape3
    ) -> ShownGrowth:
        """Plain arguments, because the results are kept by them."""
        item = PlacedObject(*key, roles, np.frombuffer(positions, dtype=np.float64).reshape(-1, 3))
        data = self._workspace.data
        return grow_shown(
            item, self._volumes.prepared(case), data.labels, self._settings, self._workspace.protocol, case, steps
        )

    def _prepare(self, case: str) -> None:
        """Get ready to grow while the first points are placed."""
        with suppress(InputError):  # the growth will say it
            self._volumes.prepared(case)

    def _require_writer(self, case: str, client: str) -> None:
        self._workspace.require_case(case)
        self._leases.claim(case, client)

    def _saved(self, case: str, item: PlacedObject) -> SavedObject:
        problem = problem_of(item, self._workspace.data.read_grid(case), self._workspace.protocol)
        return SavedObject(**ObjectMessage.of(item).model_dump(), problem=problem)


def _add_page_file(app: FastAPI, path: str, file: PageFile) -> None:
    def answer() -> Response:
        return Response(file.content, media_type=file.media_type)

    app.get(path, include_in_schema=False)(answer)


def _chunks(content: memoryview) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield bytes(content[start : start + _CHUNK_BYTES])


def _range_of(wanted: str, total: int) -> tuple[int, int]:
    """First byte and the one after the last, of a Range header; everything where it is another kind, as HTTP allows."""
    found = _RANGE.fullmatch(wanted)
    start, stop = (int(found[1]), min(int(found[2]) + 1, total)) if found else (0, total)
    return (start, stop) if start < stop else (0, total)


def _refused(request: Request, error: Exception) -> JSONResponse:
    """A sentence for the user, as the command line would print it."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), _REFUSED)
    return JSONResponse({"detail": str(error)}, status)
