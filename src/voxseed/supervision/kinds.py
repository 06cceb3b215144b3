"""Supervision: what a network learns from, grown from an annotation."""

from dataclasses import dataclass
from enum import StrEnum

from voxseed.types import FloatArray, LabelArray, Shape3


class SupervisionKind(StrEnum):
    """What a method asks of the dataset."""

    PARTIAL = "partial"
    """A target map in which some voxels are unannotated."""
    DENSE = "dense"
    """A target map in which every voxel is annotated."""
    PROBABILITY = "probability"
    """A foreground probability of every class at every voxel, and the target that follows from it."""


@dataclass(frozen=True)
class GrownObject:
    """One annotated object on the voxel grid.

    Attributes:
        class_index: 1..C-1.
        box_start, box_stop: half-open voxel box, clipped to the volume.
    """

    class_index: int
    box_start: Shape3
    box_stop: Shape3


@dataclass(frozen=True)
class Supervision:
    """Target of one case on its own grid.

    Attributes:
        target: (I, J, K) uint8, class index, IGNORE (255) where unannotated.
        affine: (4, 4), RAS+ mm.
        objects: the annotated objects.
        absent: class indices that the annotation says do not occur in the case.
        probabilities: (C - 1, I, J, K) float32, foreground probability of each class; None but for that kind.
    """

    kind: SupervisionKind
    target: LabelArray
    affine: FloatArray
    objects: tuple[GrownObject, ...] = ()
    absent: frozenset[int] = frozenset()
    probabilities: FloatArray | None = None
