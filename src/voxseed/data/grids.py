"""Grids: where voxels lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from voxseed.errors import InputError
from voxseed.types import FloatArray, Shape3, Spacing

_SAME_POSITION_VOXELS = 0.05


class OnGrid(Protocol):
    """Anything that lies on a voxel grid: a volume, an image, or a grid alone."""

    @property
    def shape(self) -> Shape3:
        """Voxels along (I, J, K)."""

    @property
    def affine(self) -> FloatArray:
        """(4, 4), maps (i, j, k, 1) to RAS+ mm."""


@dataclass(frozen=True)
class Grid:
    """Where voxels lie, without their values.

    Attributes:
        shape: voxels along (I, J, K).
        affine: (4, 4) float64, maps (i, j, k, 1) to RAS+ mm.
    """

    shape: Shape3
    affine: FloatArray

    @property
    def spacing_mm(self) -> Spacing:
        """Distance between neighbouring voxel centres along each axis."""
        return spacing_of(self.affine)


def spacing_of(affine: FloatArray) -> Spacing:
    """Column norms of the affine's linear part, in mm."""
    return tuple(float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))  # type: ignore[return-value]


def same_grid(a: OnGrid, b: OnGrid) -> bool:
    """Whether shapes are equal and no voxel lies further from its counterpart than 5 % of the smallest spacing."""
    if a.shape != b.shape:
        return False
    last = [n - 1 for n in a.shape]
    corners = np.array([(i, j, k, 1) for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
    distance_mm = np.linalg.norm((corners @ (a.affine - b.affine).T)[:, :3], axis=1).max()
    return bool(distance_mm <= _SAME_POSITION_VOXELS * min(spacing_of(a.affine)))


def require_same_grid(found: OnGrid, path: Path, expected: OnGrid, expected_path: Path) -> None:
    """Check that two files of one case lie on the same voxels.

    Raises:
        InputError: if shapes or positions differ.
    """
    if found.shape != expected.shape:
        raise InputError(
            f"{path}: its shape is {found.shape}, expected {expected.shape} as {expected_path.name} has. "
            "Resample one onto the grid of the other."
        )
    if not same_grid(found, expected):
        raise InputError(
            f"{path}: its voxels do not lie where those of {expected_path.name} lie (the affines differ). "
            "Resample one onto the other, or copy the affine if only the header is wrong."
        )
