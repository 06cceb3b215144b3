"""Annotations: what a person gave for a case. Types here; Slicer's files in `markups`, folders in `annotation_sets`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from voxseed.data.volumes import Volume
from voxseed.types import FloatArray

SCATTERED_POINTS: Final = "scattered-points"
EXTREME_POINTS: Final = "extreme-points"
"""The protocol whose points all lie inside the objects."""


@dataclass(frozen=True)
class ObjectPoints:
    """Points on one object.

    Attributes:
        class_name: a foreground label of the dataset.
        object_number: 1, 2, … within the class and case.
        inside_mm: (N, 3), N >= 1, points inside the object, RAS+ mm.
        outside_mm: (6, 3) or more, points beyond its extremes, RAS+ mm; (0, 3) where points are scattered inside.
    """

    class_name: str
    object_number: int
    inside_mm: FloatArray
    outside_mm: FloatArray


@dataclass(frozen=True)
class ObjectBox:
    """An oriented box around one object.

    Attributes:
        center_mm: (3,), RAS+.
        axes: (3, 3), unit vectors as columns, RAS+.
        size_mm: (3,), full extents along the columns of `axes`.
    """

    class_name: str
    object_number: int
    center_mm: FloatArray
    axes: FloatArray
    size_mm: FloatArray


@dataclass(frozen=True)
class CaseAnnotation:
    """Everything one annotation set says about one case.

    Attributes:
        protocol: "points", "extreme-points", "scattered-points", "box", "scribbles", "slices", "dense",
            "noisy-dense", …
        points: objects annotated by points.
        boxes: objects annotated by boxes.
        painted: label map in the dataset's own label values, `ignore` where unannotated, which in
            dense and noisy-dense maps is nowhere.
        absent: foreground classes that the annotator says do not occur in this case.
    """

    protocol: str
    points: tuple[ObjectPoints, ...] = ()
    boxes: tuple[ObjectBox, ...] = ()
    painted: Volume | None = None
    absent: frozenset[str] = field(default_factory=frozenset)

    def unmentioned(self, class_names: Iterable[str]) -> list[str]:
        """Classes of which neither an object nor the list of absent ones says anything."""
        objects = {item.class_name for item in self.points} | {item.class_name for item in self.boxes}
        return [name for name in class_names if name not in objects | self.absent]
