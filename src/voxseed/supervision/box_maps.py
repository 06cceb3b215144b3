"""Foreground probability from a box around an object, and from a growth between its inside and its faces."""

import numpy as np
from numpy.typing import NDArray

from voxseed.data.annotations import ObjectBox
from voxseed.supervision.boxes import VoxelBox
from voxseed.types import FloatArray


def box_map(item: ObjectBox, box: VoxelBox, affine: FloatArray, exponent: float) -> NDArray[np.float32]:
    """1 - r^exponent, with r the distance from the centre in units of the half extents: 1 at the faces' middles.

    An object touches the faces of its box somewhere, and rarely fills the corners: r >= 1 has probability 0, which
    leaves the largest ellipsoid that the box holds.

    Args:
        item: the oriented box.
        box: voxels to give a probability.
        affine: (4, 4), of the image.
        exponent: the larger, the steeper at the faces.

    Returns:
        The shape of `box`, in [0, 1].
    """
    # Voxel to the box's own axes, in half extents.
    to_box = (2 * item.axes / item.size_mm).T @ affine[:3, :3]
    offset = (2 * item.axes / item.size_mm).T @ (affine[:3, 3] - item.center_mm)
    i, j, k = np.ogrid[box.slices]
    squared = sum(
        (row[0] * i + row[1] * j + row[2] * k + shift) ** 2 for row, shift in zip(to_box, offset, strict=True)
    )
    return np.clip(1 - np.asarray(squared) ** (exponent / 2), 0, 1).astype(np.float32)


def growth_map(ratio: NDArray[np.float32], even_ratio: float) -> NDArray[np.float32]:
    """Probability from the ratio of a two-sided growth: 1 at the inside points, one half at `even_ratio`, 0 at 1.

    Straight lines in between. Where the ratio is undefined, no path leads and nobody knows: one half.

    Args:
        ratio: of `grow_object`, in [0, 1] or NaN.
        even_ratio: in (0, 1).
    """
    probability = np.interp(ratio, (0, even_ratio, 1), (1, 0.5, 0)).astype(np.float32)
    return np.where(np.isnan(ratio), np.float32(0.5), probability)
