"""The part of the HTTP API that a review adds: predictions, what is thought of them, what to annotate next."""

from functools import lru_cache
from typing import Protocol

import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from isal import igzip

from voxseed.data.volumes import Volume, canonical_view
from voxseed.server.leases import Leases
from voxseed.server.review_schemas import ProposalMessage, ReviewedCaseMessage, ReviewMessage, VerdictMessage
from voxseed.server.schemas import Writer
from voxseed.server.workspace import State, Workspace
from voxseed.workflows.review import Review

_UNCERTAINTY_LEVELS = 255
_KEPT_MAPS = 8


class Predicting(Protocol):
    """Predictions that come while the page is open."""

    @property
    def is_running(self) -> bool:
        """Whether cases may still come."""

    @property
    def problem(self) -> str:
        """Why cases could not be predicted; empty if nothing is wrong so far."""


class ReviewApi:
    """The routes of a review.

    Args:
        workspace: into which corrections go.
        review: the predictions.
        predicting: brings those that are missing.
        leases: who writes to which case.
    """

    def __init__(self, workspace: Workspace, review: Review, predicting: Predicting, leases: Leases) -> None:
        self._workspace = workspace
        self._review = review
        self._predicting = predicting
        self._leases = leases
        self._packed = lru_cache(maxsize=_KEPT_MAPS)(self._pack)

    def add_to(self, app: FastAPI) -> None:
        """Register every route."""
        app.get("/api/review", response_model=ReviewMessage)(self.review)
        app.get("/api/review/next")(self.proposal)
        app.get("/api/cases/{case}/prediction", response_class=Response)(self.prediction)
        app.get("/api/cases/{case}/uncertainty", response_class=Response)(self.uncertainty)
        app.put("/api/cases/{case}/verdict")(self.put_verdict)

    def review(self) -> JSONResponse:
        """Every case with its prediction, worst first, and how far the predictions are."""
        is_predicting = self._predicting.is_running  # asked first: when it has ended, everything is listed
        states = self._workspace.states()
        message = ReviewMessage(
            run=self._review.model.run.resolve().name,
            is_predicting=is_predicting,
            problem=self._predicting.problem,
            cases=[ReviewedCaseMessage.of(each, states[each.case]) for each in self._review.cases()],
        )
        return JSONResponse(message.model_dump())

    def proposal(self) -> ProposalMessage:
        """The unannotated case that is proposed to be annotated next, see `workflows.propose`."""
        states = self._workspace.states()
        found = self._review.next_to_annotate([case for case, state in states.items() if state != State.UNANNOTATED])
        return ProposalMessage(case=found.case, reason=found.reason)

    def prediction(self, case: str, prediction: str) -> Response:
        """The predicted map: a byte per voxel in canonical order, first axis fastest; class index."""
        self._workspace.require_case(case)
        return _compressed(self._packed("labels", case, prediction))

    def uncertainty(self, case: str, prediction: str) -> Response:
        """How far the opinions of the model differ: a byte per voxel as for the prediction, 255 times the value."""
        self._workspace.require_case(case)
        return _compressed(self._packed("uncertainty", case, prediction))

    def put_verdict(self, case: str, message: VerdictMessage, client: Writer) -> VerdictMessage:
        """Accept or flag a prediction, or neither. On disk before the answer."""
        self._workspace.require_case(case)
        self._leases.claim(case, client)
        self._review.say(case, message.prediction, message.verdict)
        return message

    def _pack(self, kind: str, case: str, prediction: str) -> bytes:
        """A map as it is sent. Never another one for the same arguments, so that it can be kept."""
        if kind == "labels":
            return _bytes_of(self._review.labels(case, prediction))
        volume = self._review.uncertainty(case, prediction)
        levels = volume.array.astype(np.float32)
        np.clip(levels, 0, 1, out=levels)  # in place: large volumes are copied once
        levels *= _UNCERTAINTY_LEVELS
        return _bytes_of(Volume(np.rint(levels, out=levels).astype(np.uint8), volume.affine))


def _bytes_of(volume: Volume) -> bytes:
    return igzip.compress(canonical_view(volume).array.tobytes(order="F"), 1)


def _compressed(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers={"content-encoding": "gzip"})
