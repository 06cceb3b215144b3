"""Which points of an object are inside it and which are beyond its extremes."""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np

from voxseed.errors import InputError
from voxseed.types import BoolArray, FloatArray

INSIDE: Final = "inside"
DIRECTIONS: Final = ("left", "right", "posterior", "anterior", "inferior", "superior")
"""Order of the axes: low and high end of right, anterior, superior."""

_OUTSIDE_COUNT = len(DIRECTIONS)
_ROLE_LABEL = re.compile(rf"({'|'.join((INSIDE, *DIRECTIONS))})(?:[ _-]?\d+)?", re.IGNORECASE)


def split_by_role(
    labels: Sequence[str], points_mm: FloatArray, affine: FloatArray, origin: str
) -> tuple[FloatArray, FloatArray]:
    """Points inside an object, and points outside it.

    If every label names a role ("inside", "left", "Inside 2", …), the labels decide. Otherwise positions do:
    there are exactly six outside points, each beyond the object in one direction of the voxel axes, and at least
    one inside. Points on the bounding box of all are outside, since what is inside lies strictly within it.
    If these are fewer than six (one point can be extreme in two directions), the others are sought: the choice must
    be the only one in which every direction gets a point that lies beyond all inside points.

    Args:
        labels: one per point.
        points_mm: (N, 3), RAS+ mm.
        affine: (4, 4), of the image; its axes are those along which points are extreme.
        origin: file and object, for messages.

    Returns:
        Inside (K, 3) with K >= 1, outside (6, 3) or more, RAS+ mm, in the order of the file.

    Raises:
        InputError: if a role is missing, or positions allow more than one answer.
    """
    roles = [role_of(label) for label in labels]
    if all(roles):
        inside = _inside_by_label(roles, origin)
    else:
        inside = _inside_by_position(along_patient_axes(points_mm, affine), origin)
    return points_mm[inside], points_mm[~inside]


def all_inside(labels: Sequence[str], points_mm: FloatArray, origin: str) -> tuple[FloatArray, FloatArray]:
    """As `split_by_role`, of points that are scattered inside an object: none is outside.

    Raises:
        InputError: if a label names a direction, as points outside an object have it.
    """
    outside = next((label for label in labels if role_of(label) in DIRECTIONS), None)
    if outside is not None:
        raise InputError(
            f"{origin}: a point is labelled {outside!r}, expected points inside the object alone, because they are "
            "scattered. Remove it, or give the protocol points."
        )
    return points_mm, np.empty((0, 3))


def direction_labels(outside_mm: FloatArray, affine: FloatArray) -> list[str]:
    """Name the direction of each outside point so that every direction is named once where there are six.

    Args:
        outside_mm: (N, 3), RAS+ mm; of more than six, the rest takes the direction it is furthest along.
        affine: (4, 4), of the image.
    """
    from scipy.optimize import linear_sum_assignment

    if len(outside_mm) == 0:
        return []
    position = along_patient_axes(outside_mm, affine)
    low, high = position.min(axis=0), position.max(axis=0)
    # From -1 to 1 along each axis, so that a long object is not extreme in its length everywhere.
    relative = (2 * position - low - high) / np.where(high > low, high - low, 1.0)
    extremeness = np.stack([-relative, relative], axis=2).reshape(len(position), _OUTSIDE_COUNT)
    directions = extremeness.argmax(axis=1)
    rows, columns = linear_sum_assignment(extremeness, maximize=True)
    directions[rows] = columns
    return [DIRECTIONS[direction] for direction in directions]


def along_patient_axes(points_mm: FloatArray, affine: FloatArray) -> FloatArray:
    """Voxel coordinates (N, 3) with the image's axes ordered and turned to right, anterior, superior."""
    import nibabel as nib

    homogeneous = np.column_stack([points_mm, np.ones(len(points_mm))])
    voxels = (np.linalg.inv(affine) @ homogeneous.T)[:3]
    orientation = nib.orientations.io_orientation(affine)
    result = np.empty_like(voxels)
    result[orientation[:, 0].astype(int)] = voxels * orientation[:, 1:]
    return result.T


def role_of(label: str) -> str | None:
    """The role that a label names, without its number; None if it names none."""
    match = _ROLE_LABEL.fullmatch(label.strip())
    return match[1].lower() if match else None


def _inside_by_label(roles: Sequence[str | None], origin: str) -> BoolArray:
    missing = [role for role in (INSIDE, *DIRECTIONS) if role not in roles]
    if missing:
        raise InputError(
            f"{origin}: no point labelled {', '.join(missing)}; expected at least one inside and one in each of the "
            "six directions. Add the point, or remove all labels if positions shall decide."
        )
    return np.array([role == INSIDE for role in roles])


def _inside_by_position(position: FloatArray, origin: str) -> BoolArray:
    if len(position) <= _OUTSIDE_COUNT:
        raise InputError(
            f"{origin}: {len(position)} points, expected six outside the object, one in each direction, "
            "and at least one inside. Add what is missing."
        )
    on_box = ((position == position.min(axis=0)) | (position == position.max(axis=0))).any(axis=1)
    if on_box.all():
        raise InputError(f"{origin}: no point lies inside the box of the others. Add a point inside the object.")
    if on_box.sum() >= _OUTSIDE_COUNT:
        return ~on_box
    return _only_choice(position, on_box, origin)


def _only_choice(position: FloatArray, on_box: BoolArray, origin: str) -> BoolArray:
    found: BoolArray | None = None
    for more in combinations(np.flatnonzero(~on_box), int(_OUTSIDE_COUNT - on_box.sum())):
        inside = ~on_box
        inside[list(more)] = False
        if not _every_direction_has_a_point(position[inside], position[~inside]):
            continue
        if found is not None:
            raise InputError(
                f"{origin}: positions alone do not tell which points are inside the object. "
                f"Label the points {INSIDE}, {', '.join(DIRECTIONS)}."
            )
        found = inside
    if found is None:
        raise InputError(
            f"{origin}: expected six points outside the object, one beyond it in each direction, "
            "and at least one inside. Move the points, or annotate the object again."
        )
    return found


def _every_direction_has_a_point(inside: FloatArray, outside: FloatArray) -> bool:
    """Whether six outside points can be given one direction each, in which they lie beyond all inside points."""
    from scipy.optimize import linear_sum_assignment

    beyond = np.stack([outside < inside.min(axis=0), outside > inside.max(axis=0)], axis=2)
    beyond = beyond.reshape(_OUTSIDE_COUNT, _OUTSIDE_COUNT)
    return bool(beyond[linear_sum_assignment(beyond, maximize=True)].all())
