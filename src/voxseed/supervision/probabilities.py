"""Probability maps of a case: everything that a person gave, as a foreground probability per class and voxel."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.grids import OnGrid, spacing_of
from voxseed.data.labels import Labels
from voxseed.data.markups import object_name
from voxseed.data.object_checks import voxel_indices
from voxseed.errors import InputError
from voxseed.supervision.box_maps import box_map, growth_map
from voxseed.supervision.boxes import VoxelBox, box_of_object
from voxseed.supervision.point_maps import points_map
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.supervision.slice_maps import complete_slices, slices_map
from voxseed.types import BACKGROUND, IGNORE, LabelArray


class Growth(Protocol):
    """An object that was grown from both sides."""

    @property
    def class_index(self) -> int:
        """1..C-1."""

    @property
    def box(self) -> VoxelBox:
        """The voxels that it may have."""

    @property
    def ratio(self) -> NDArray[np.float32] | None:
        """Of `grow_object`, in the shape of the box."""


def probability_maps(
    annotation: CaseAnnotation,
    grown: Sequence[Growth],
    painted: LabelArray | None,
    grid: OnGrid,
    labels: Labels,
    settings: ProbabilitySettings,
    case: str,
) -> NDArray[np.float32]:
    """Foreground probability of each class: the largest of what its objects, boxes and painted slices give.

    What is painted is certain: 1 for its class and 0 for the others, above everything else.

    Args:
        annotation: of the case.
        grown: its objects with outside points.
        painted: (I, J, K), class indices and IGNORE; None if nothing is painted.
        grid: of the image.
        labels: of the dataset.
        settings: the formulas.
        case: its name, for messages.

    Returns:
        (C - 1, I, J, K), in [0, 1].

    Raises:
        InputError: if nothing gives a probability, or a point or box lies outside the image.
    """
    maps = np.zeros((labels.class_count - 1, *grid.shape), dtype=np.float32)
    _require_something(annotation, painted, labels, case)
    for item in grown:
        if item.ratio is not None:
            _raise_to(maps[item.class_index - 1][item.box.slices], growth_map(item.ratio, settings.even_ratio))
    for name, objects in _scattered(annotation, grid, case).items():
        _raise_to(
            maps[labels.class_index(name) - 1], points_map(objects, grid.shape, spacing_of(grid.affine), settings)
        )
    for box in annotation.boxes:
        region = box_of_object(box, grid.affine, grid.shape)
        if region.is_empty:
            raise InputError(
                f"Case {case}: the box of {object_name(box.class_name, box.object_number)} holds no voxel of the "
                f"image, shape {grid.shape}. Move it onto the object."
            )
        values = box_map(box, region, grid.affine, settings.box_exponent)
        _raise_to(maps[labels.class_index(box.class_name) - 1][region.slices], values)
    if painted is not None:
        _paint(maps, painted, grid)
    return maps


def hard_target(maps: NDArray[np.floating]) -> LabelArray:
    """Most probable class, (I, J, K) uint8; background's probability is 1 minus the largest of the others.

    Args:
        maps: (C - 1, I, J, K), foreground probabilities.
    """
    largest = maps.max(axis=0)
    return np.where(largest > 0.5, maps.argmax(axis=0) + 1, BACKGROUND).astype(np.uint8)


def _require_something(annotation: CaseAnnotation, painted: LabelArray | None, labels: Labels, case: str) -> None:
    said = annotation.points or annotation.boxes or len(annotation.absent) == len(labels.foreground)
    if not said and (painted is None or not complete_slices(painted)):
        raise InputError(
            f"Case {case}: nothing there gives a probability; expected points, a box, or two or more parallel slices "
            "in which every voxel is painted. Annotate it so, or leave it out."
        )


def _scattered(annotation: CaseAnnotation, grid: OnGrid, case: str) -> dict[str, list[LabelArray]]:
    """Class → the voxels of the points of each object that has no outside points."""
    found: dict[str, list[LabelArray]] = {}
    for item in annotation.points:
        if len(item.outside_mm):
            continue
        voxels = voxel_indices(item.inside_mm, grid.affine)
        if ((voxels < 0) | (voxels >= grid.shape)).any():
            raise InputError(
                f"Case {case}, {object_name(item.class_name, item.object_number)}: a point lies outside the image of "
                f"shape {grid.shape}. Move it into the object."
            )
        found.setdefault(item.class_name, []).append(voxels)
    return found


def _paint(maps: NDArray[np.float32], painted: LabelArray, grid: OnGrid) -> None:
    """In place."""
    has_slices = bool(complete_slices(painted))
    for number, probabilities in enumerate(maps, start=1):
        if has_slices and (painted == IGNORE).any():
            _raise_to(probabilities, slices_map(painted, number, spacing_of(grid.affine)))
        known = painted != IGNORE
        probabilities[known] = painted[known] == number


def _raise_to(maps: NDArray[np.float32], values: NDArray[np.float32]) -> None:
    """In place: the larger of both."""
    np.maximum(maps, values, out=maps)
