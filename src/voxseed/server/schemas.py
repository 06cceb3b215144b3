"""What goes over HTTP: positions in RAS+ mm, slices and boxes of voxels in canonical axis order."""

from typing import Annotated, Self

import numpy as np
from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field

from voxseed.data.annotations import ObjectBox
from voxseed.server.objects import PlacedObject
from voxseed.server.painting import SliceEdit
from voxseed.server.workspace import State

Writer = Annotated[str, Header(alias="X-Voxseed-Client", description="The client that has claimed the case.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
_Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
_Millimetres = tuple[_Coordinate, _Coordinate, _Coordinate]
_Length = Annotated[float, Field(gt=0, le=1e6)]


class Message(BaseModel):
    """What a client sends; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class PointMessage(Message):
    """A point: its role and position."""

    role: Name
    mm: _Millimetres


class BoxMessage(Message):
    """A box: centre, unit vectors along its edges, full extents along them."""

    center_mm: _Millimetres
    axes: tuple[_Millimetres, _Millimetres, _Millimetres]
    size_mm: tuple[_Length, _Length, _Length]


class ObjectMessage(Message):
    """One object: everything that was placed on it."""

    class_name: Name
    object_number: int = Field(ge=1, le=10_000)
    points: list[PointMessage] = Field(default=[], max_length=500)
    box: BoxMessage | None = None

    def to_placed(self) -> PlacedObject:
        """As the server keeps it."""
        positions = np.array([point.mm for point in self.points], dtype=np.float64).reshape(-1, 3)
        roles = tuple(point.role for point in self.points)
        return PlacedObject(self.class_name, self.object_number, roles, positions, self._box())

    @classmethod
    def of(cls, item: PlacedObject) -> Self:
        """From how the server keeps it."""
        points = [PointMessage(role=role, mm=_triple(mm)) for role, mm in zip(item.roles, item.points_mm, strict=True)]
        box = None
        if item.box is not None:
            x, y, z = (_triple(axis) for axis in item.box.axes.T)
            box = BoxMessage(center_mm=_triple(item.box.center_mm), axes=(x, y, z), size_mm=_triple(item.box.size_mm))
        return cls(class_name=item.class_name, object_number=item.object_number, points=points, box=box)

    def _box(self) -> ObjectBox | None:
        if self.box is None:
            return None
        axes = np.array(self.box.axes, dtype=np.float64).T
        return ObjectBox(
            self.class_name, self.object_number, np.array(self.box.center_mm), axes, np.array(self.box.size_mm)
        )


class SavedObject(ObjectMessage):
    """An object as it was saved."""

    problem: str = Field("", description="Why nothing can be learned from its points yet; empty if something can.")


class ClientMessage(Message):
    """Who writes: a random name that a tab or program gives itself."""

    client: Name
    take_over: bool = False


class StateMessage(Message):
    """How far a case is."""

    state: State


class AbsentMessage(Message):
    """Classes that do not occur in a case."""

    classes: list[Name] = Field(max_length=300)


class SliceMessage(Message):
    """New values in one slice of the painted map."""

    axis: int = Field(ge=0, le=2, description="0 sagittal, 1 coronal, 2 axial")
    index: int = Field(ge=0)
    runs: list[tuple[int, int, int]] = Field(
        max_length=300_000,
        description="start, length, class index (255: unannotated); voxels of the slice, the lower axis fastest",
    )

    @classmethod
    def of(cls, edit: SliceEdit) -> Self:
        """From how the server applies it."""
        return cls(axis=edit.axis, index=edit.index, runs=list(edit.runs))

    def to_edit(self) -> SliceEdit:
        """As the server applies it."""
        return SliceEdit(self.axis, self.index, self.runs)


class PaintMessage(Message):
    """Changes of the painted map, all or none."""

    slices: list[SliceMessage] = Field(max_length=2000)


class BetweenRequest(Message):
    """A class to fill between its painted slices."""

    axis: int = Field(ge=0, le=2, description="0 sagittal, 1 coronal, 2 axial")
    class_index: int = Field(ge=1, le=254)


class GrowthRequest(Message):
    """Which object to grow, and where foreground ends."""

    class_name: Name
    object_number: int = Field(1, ge=1)
    threshold: float | None = Field(None, ge=0, le=1, description="that of the settings if not given")
    with_levels: bool = True
    preview: bool = Field(False, description="coarse and at once where the box is large")


class GrowthMessage(BaseModel):
    """The growth of an object in its box."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    levels: str = Field(description="base64; per voxel, first axis fastest, 254 times the ratio; 255 undefined")
    threshold: float
    background_threshold: float
    warnings: list[str]
    exact: bool = Field(description="whether it is the growth that training sees")


class DatasetMessage(BaseModel):
    """What is annotated."""

    name: str
    set_name: str
    set_id: str = Field(description="the same for the same folder on this machine, and for no other")
    protocol: str
    classes: list[str]
    channels: list[str]
    foreground_threshold: float
    background_threshold: float
    is_review: bool = Field(description="whether predictions are reviewed: /api/review")


class ListedCase(BaseModel):
    """A case in the list."""

    name: str
    state: State


class CaseMessage(BaseModel):
    """A case and what was annotated in it."""

    name: str
    state: State
    shape: tuple[int, int, int]
    affine: list[list[float]]
    absent: list[str]
    objects: list[SavedObject]


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
