"""Supervision: what a network learns from, grown from an annotation."""

import math
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
    BOXES = "boxes"
    """A target map that says what lies outside every object's box, and nothing about what is inside."""
    PROBABILITY = "probability"
    """A foreground probability of every class at every voxel, and the target that follows from it."""


@dataclass(frozen=True)
class GrownObject:
    """One annotated object on the voxel grid.

    Attributes:
        class_index: 1..C-1.
        box_start, box_stop: half-open voxel box, clipped to the volume.
        true_voxels: of the class in the box, from a dense label; NaN unless a method asks for this oracle.
    """

    class_index: int
    box_start: Shape3
    box_stop: Shape3
    true_voxels: float = math.nan

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array (I, J, K)."""
        return _slices(self.box_start, self.box_stop)

    @property
    def box_shape(self) -> Shape3:
        """Voxels of the box along (I, J, K)."""
        start, stop = self.box_start, self.box_stop
        return stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]


@dataclass(frozen=True)
class ObjectInPatch:
    """An annotated object of which a patch holds a part of the box.

    Attributes:
        class_index: 1..C-1.
        start, stop: half-open voxel box in the patch, clipped to it; not empty.
        is_whole: whether the patch holds the whole box.
        box_shape: of the whole box, in voxels of the patch.
        true_voxels: of the class in the whole box, in voxels of the patch; NaN unless a method asks for this oracle.
    """

    class_index: int
    start: Shape3
    stop: Shape3
    is_whole: bool
    box_shape: Shape3
    true_voxels: float = math.nan

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array (I, J, K)."""
        return _slices(self.start, self.stop)


@dataclass(frozen=True)
class Supervision:
    """Target of one case on its own grid.

    Attributes:
        target: (I, J, K) uint8, class index, IGNORE (255) where unannotated.
        affine: (4, 4), RAS+ mm.
        objects: the annotated objects.
        absent: class indices that the annotation says do not occur in the case.
        trusted: False where the labels were made by some tool and may be wrong.
        painted: (I, J, K) uint8, the part of the target that a person painted, IGNORE elsewhere; None if nothing was.
            Slices and strokes are thin, and must not vanish where grids become coarser.
        probabilities: (C - 1, I, J, K) float32, foreground probability of each class; None but for that kind.
    """

    kind: SupervisionKind
    target: LabelArray
    affine: FloatArray
    objects: tuple[GrownObject, ...] = ()
    absent: frozenset[int] = frozenset()
    probabilities: FloatArray | None = None
    trusted: bool = True
    painted: LabelArray | None = None


def _slices(start: Shape3, stop: Shape3) -> tuple[slice, slice, slice]:
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])
