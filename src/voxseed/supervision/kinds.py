"""Supervision: what a network learns from, grown from an annotation."""

from dataclasses import dataclass
from enum import StrEnum

from voxseed.types import FloatArray, LabelArray, Shape3


class SupervisionKind(StrEnum):
    """What a method asks of the dataset."""

    PARTIAL = "partial"
    """A target map in which some voxels are unannotated."""
    SLICES = "slices"
    """The same, of whole slices in one plane or two, found in painted maps."""
    DENSE = "dense"
    """A target map in which every voxel is annotated."""


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
        painted: (I, J, K) uint8, the part of the target that a person painted, IGNORE elsewhere; None if nothing was.
            Slices and strokes are thin, and must not vanish where grids become coarser.
    """

    kind: SupervisionKind
    target: LabelArray
    affine: FloatArray
    objects: tuple[GrownObject, ...] = ()
    absent: frozenset[int] = frozenset()
    painted: LabelArray | None = None
