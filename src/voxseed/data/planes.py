"""Planes of annotated slices: across which axes of a partial label map whole slices are annotated, and which."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import nibabel as nib
import numpy as np

from voxseed.errors import InputError
from voxseed.types import BoolArray, FloatArray

SLICES: Final = "slices"
"""The protocol of annotation sets of whole slices."""

Plane = Literal["sagittal", "coronal", "axial"]
PLANES: Final[tuple[Plane, ...]] = ("sagittal", "coronal", "axial")
"""In the order of the axes that they lie across: closest to right, anterior, superior."""

LEAST_SHARE: Final = 0.5
"""A slice is annotated if at least this share of its voxels is: what lies outside the body may be left out."""


def axis_across(plane: Plane, affine: FloatArray) -> int:
    """Array axis across the slices of a plane, on a grid of any orientation.

    Args:
        plane: of the patient.
        affine: (4, 4), to RAS+ mm; of an oblique grid, the axis nearest to the plane's normal.
    """
    return int(np.flatnonzero(_directions(affine) == PLANES.index(plane))[0])


def annotated_planes(annotated: BoolArray, affine: FloatArray) -> dict[Plane, tuple[int, ...]]:
    """Planes in which slices are annotated, each with the indices of these slices along its array axis.

    A slice that crosses many annotated slices of another plane holds many annotated voxels too. So planes are taken
    one after the other, that of the most completely annotated slice first, and the slices of one are put aside before
    the next is looked for. Other annotated voxels, such as strokes, belong to no plane.

    Args:
        annotated: (I, J, K), where somebody annotated.
        affine: (4, 4), to RAS+ mm, any orientation.

    Returns:
        In the order of PLANES.
    """
    directions = _directions(affine)
    found: dict[Plane, tuple[int, ...]] = {}
    rest = annotated
    while rest.any():
        axis = max(range(3), key=lambda each: _completeness(rest, each))
        is_annotated = _shares(rest, axis) >= LEAST_SHARE
        plane = PLANES[directions[axis]]
        if plane in found or not is_annotated.any():
            break
        found[plane] = tuple(np.flatnonzero(is_annotated).tolist())
        rest = np.compress(~is_annotated, rest, axis=axis)
    return {plane: found[plane] for plane in PLANES if plane in found}


def showing(planes: Mapping[Plane, Sequence[int]], shown: BoolArray, affine: FloatArray) -> int:
    """How many of the annotated slices meet something.

    Args:
        planes: as `annotated_planes` gives it.
        shown: (I, J, K), where that is.
        affine: of the grid, as above.
    """
    return sum(
        int(np.count_nonzero(_shares(shown, axis_across(plane, affine))[list(slices)]))
        for plane, slices in planes.items()
    )


def require_one_or_two(found: Mapping[Plane, tuple[int, ...]], origin: str) -> None:
    """Check that a map is annotated in slices of one plane or of two.

    Args:
        found: as `annotated_planes` gives it.
        origin: where the map is from, for messages.

    Raises:
        InputError: if there is no plane, or all three.
    """
    if not found:
        raise InputError(
            f"{origin}: found no annotated slice; in a slice, at least half of the voxels must be annotated. "
            "Paint whole slices, background included, or train with --method partial."
        )
    if len(found) > 2:
        counted = ", ".join(f"{len(slices)} {plane}" for plane, slices in found.items())
        raise InputError(
            f"{origin}: found annotated slices in three planes ({counted}), expected one or two. "
            "Set those of one plane to ignore, or train with --method partial."
        )


def require_alike(planes: Mapping[str, Sequence[Plane]], origin: str) -> None:
    """Check that all cases are annotated in the same planes.

    Args:
        planes: of every case, one or two.
        origin: where the cases are from, for messages.

    Raises:
        InputError: if one is annotated in other planes than the first.
    """
    first = next(iter(planes), "")
    for case, found in planes.items():
        if list(found) != list(planes[first]):
            raise InputError(
                f"{origin}: case {first} is annotated in {' and '.join(planes[first])} slices, case {case} in "
                f"{' and '.join(found)} slices. Annotate the same planes in every case."
            )


def _directions(affine: FloatArray) -> np.ndarray:
    """For each array axis, the number of the axis of space (right, anterior, superior) that it is closest to."""
    return nib.orientations.io_orientation(affine)[:, 0].astype(int)


def _shares(annotated: BoolArray, axis: int) -> FloatArray:
    """Annotated share of every slice across an axis; 0 where slices have no voxel left."""
    others = tuple(other for other in range(3) if other != axis)
    return np.count_nonzero(annotated, axis=others) / max(annotated.size // annotated.shape[axis], 1)


def _completeness(annotated: BoolArray, axis: int) -> tuple[float, int]:
    """Of the most completely annotated slice across an axis: its share and its voxels."""
    return float(_shares(annotated, axis).max()), annotated.size // annotated.shape[axis]
