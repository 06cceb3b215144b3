"""Whether the points and boxes of objects make sense where the image is known."""

from itertools import product

import numpy as np

from voxseed.data.annotations import EXTREME_POINTS, ObjectBox, ObjectPoints
from voxseed.data.grids import OnGrid
from voxseed.errors import InputError
from voxseed.types import FloatArray


def voxel_indices(points_mm: FloatArray, affine: FloatArray) -> np.ndarray:
    """Nearest voxel of each point: (N, 3) int64. Points outside the image get indices outside its shape.

    Args:
        points_mm: (N, 3), RAS+ mm.
        affine: (4, 4), of the image.
    """
    inverse = np.linalg.inv(affine)
    return np.rint(points_mm @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)


def require_plausible(points: ObjectPoints, grid: OnGrid, protocol: str, origin: str) -> None:
    """Check that the inside points lie in the image, and in the box that the outside points, if any, span.

    With the protocol "extreme-points" the faces of the box are inside the object, so it may be one voxel thick.

    Args:
        points: the object.
        grid: of the image.
        protocol: of the annotation set.
        origin: file and object, for messages.

    Raises:
        InputError: if not.
    """
    shape = np.array(grid.shape)
    inside, outside = voxel_indices(points.inside_mm, grid.affine), voxel_indices(points.outside_mm, grid.affine)
    for position_mm, voxel in zip(points.inside_mm, inside, strict=True):
        if (voxel < 0).any() or (voxel >= shape).any():
            raise InputError(
                f"{origin}: {_place(position_mm, voxel)}, lies outside the image of shape {grid.shape}. "
                "Move it into the object, or check that the points belong to this case."
            )
    if len(outside) == 0:
        return
    low, high = outside.min(axis=0), outside.max(axis=0)
    flat = (low == high) & (shape > 1)
    if flat.any() and protocol != EXTREME_POINTS:
        raise InputError(
            f"{origin}: the six outside points span no box, they lie in one plane of voxels (voxels {low.tolist()} to "
            f"{high.tolist()}). Place each beyond the object in its own direction."
        )
    for position_mm, voxel in zip(points.inside_mm, inside, strict=True):
        if (voxel < low).any() or (voxel > high).any():
            raise InputError(
                f"{origin}: {_place(position_mm, voxel)}, lies outside its box, voxels {low.tolist()} to "
                f"{high.tolist()}. Move it into the object, or the outside points beyond it."
            )


def require_box_in_image(box: ObjectBox, grid: OnGrid, origin: str) -> None:
    """Check that a box shares a voxel's place with the image.

    Args:
        box: the object.
        grid: of the image.
        origin: file and object, for messages.

    Raises:
        InputError: if it lies beside the image.
    """
    corners_mm = box.center_mm + np.array(list(product((-0.5, 0.5), repeat=3))) * box.size_mm @ box.axes.T
    voxels = voxel_indices(corners_mm, grid.affine)
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    if (high < 0).any() or (low >= np.array(grid.shape)).any():
        raise InputError(
            f"{origin}: the box, voxels {low.tolist()} to {high.tolist()}, lies outside the image, shape {grid.shape}. "
            "Move it onto the object, or check that it belongs to this case."
        )


def _place(position_mm: FloatArray, voxel: np.ndarray) -> str:
    return f"an inside point at {np.round(position_mm, 2).tolist()} mm (RAS), voxel {voxel.tolist()}"
