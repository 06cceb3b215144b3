"""Boxes of voxels around annotated objects."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from voxseed.data.annotations import ObjectBox
from voxseed.types import BoolArray, FloatArray, LabelArray, Shape3

_ROUNDING_VOXELS = 1e-6


@dataclass(frozen=True)
class VoxelBox:
    """The voxels that an object may have; no voxel outside belongs to it.

    Attributes:
        start, stop: half-open along (I, J, K), within the volume.
    """

    start: Shape3
    stop: Shape3

    @property
    def shape(self) -> Shape3:
        """Voxels along (I, J, K); not positive where the box is empty."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    @property
    def is_empty(self) -> bool:
        """Whether there is no voxel in the box."""
        return min(self.shape) <= 0

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array (I, J, K)."""
        return tuple(slice(start, stop) for start, stop in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    def within(self, outer: "VoxelBox") -> "VoxelBox":
        """This box, counted from the start of another."""
        return VoxelBox(_minus(self.start, outer.start), _minus(self.stop, outer.start))

    def with_shell(self, shape: Shape3) -> "VoxelBox":
        """One voxel larger on every side, as far as the volume of that shape reaches."""
        start = tuple(max(low - 1, 0) for low in self.start)
        stop = tuple(min(high + 1, size) for high, size in zip(self.stop, shape, strict=True))
        return VoxelBox(start, stop)  # type: ignore[arg-type]

    def contains(self, voxels: LabelArray) -> BoolArray:
        """Which of the voxels (N, 3) lie in the box: (N,) bool."""
        return np.logical_and.reduce((voxels >= self.start) & (voxels < self.stop), axis=1)


def box_of_points(outside: LabelArray, shape: Shape3, faces_inside: bool) -> VoxelBox:
    """Box that outside points span along the image's own axes, oblique or not.

    With `faces_inside` (extreme points) the smallest and largest index belong to the object. Without it (points beyond
    the extremes) they do not, and the box is one voxel smaller on each side; except on a face of the volume, where a
    point cannot lie any further out: there the object may reach the face.

    Args:
        outside: (N, 3) voxel indices; those beyond the volume count as on its face.
        shape: of the volume.
        faces_inside: whether the outermost indices are inside the object.
    """
    last = np.array(shape) - 1
    low = np.clip(outside.min(axis=0), 0, last)
    high = np.clip(outside.max(axis=0), 0, last)
    if not faces_inside:
        low, high = np.where(low > 0, low + 1, 0), np.where(high < last, high - 1, last)
    return VoxelBox(_shape3(low), _shape3(high + 1))


def box_of_object(box: ObjectBox, affine: FloatArray, shape: Shape3) -> VoxelBox:
    """Voxels whose centres lie in the bounding box, along the image's axes, of an oriented box.

    Args:
        box: the oriented box.
        affine: (4, 4), of the image.
        shape: of the volume, to which the result is clipped.
    """
    halves = np.array(list(product((-0.5, 0.5), repeat=3))) * box.size_mm
    corners_mm = box.center_mm + halves @ box.axes.T
    inverse = np.linalg.inv(affine)
    corners = corners_mm @ inverse[:3, :3].T + inverse[:3, 3]
    start = np.ceil(corners.min(axis=0) - _ROUNDING_VOXELS)
    stop = np.floor(corners.max(axis=0) + _ROUNDING_VOXELS) + 1
    return VoxelBox(_shape3(np.clip(start, 0, shape)), _shape3(np.clip(stop, 0, shape)))


def _shape3(values: np.ndarray) -> Shape3:
    return (int(values[0]), int(values[1]), int(values[2]))


def _minus(a: Shape3, b: Shape3) -> Shape3:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])
