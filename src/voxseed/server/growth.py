"""Growth of one object for the page: ratios to draw, and what looks wrong about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.object_checks import voxel_indices
from voxseed.data.point_roles import DIRECTIONS
from voxseed.errors import InputError
from voxseed.server.objects import PlacedObject, problem_of
from voxseed.server.volumes import PreparedImage, canonical_box, canonical_grid
from voxseed.supervision.build import grow_points
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.types import LabelArray, Shape3

LEAK_SHARE = 0.05
"""Of a face of the box: with more foreground than that on it, the growth went through."""

UNDEFINED = 255
_LEVELS = 254


@dataclass(frozen=True)
class ShownGrowth:
    """How far each voxel of an object's box is from being inside it, in canonical order.

    Attributes:
        start: first voxel of the box.
        ratio: (i, j, k) float32, 0 inside to 1 outside, NaN where undefined.
        seeds: (N, 3), inside points as voxels of the box.
        shape: of the volume.
    """

    start: Shape3
    ratio: NDArray[np.float32]
    seeds: LabelArray
    shape: Shape3

    def levels(self) -> NDArray[np.uint8]:
        """The ratios in steps of 1/254, `UNDEFINED` where they are not defined."""
        defined = np.isfinite(self.ratio)
        steps = np.rint(np.clip(np.where(defined, self.ratio, 0), 0, 1) * _LEVELS)
        return np.where(defined, steps, UNDEFINED).astype(np.uint8)


def grow_shown(
    item: PlacedObject, image: PreparedImage, labels: Labels, settings: ExpansionSettings, protocol: str, case: str
) -> ShownGrowth:
    """Grow an object exactly as training does.

    Raises:
        InputError: if it lacks points, or they make no sense.
    """
    grid = Grid(image.image.shape, image.image.affine)
    problem = problem_of(item, grid, protocol) if item.roles else f"{item.name}: no points yet."
    if problem:
        raise InputError(problem)
    points = item.points()
    growth = grow_points(points, protocol, image.image, labels, settings, image.valid, case)
    if growth.ratio is None:
        raise InputError(f"{item.name}: nothing grows from it.")
    start, ratio = canonical_box(growth.box.start, growth.ratio, grid)
    turned = canonical_grid(grid)
    seeds = voxel_indices(points.inside_mm, turned.affine) - np.array(start)
    return ShownGrowth(start, ratio, seeds, turned.shape)


def growth_warnings(growth: ShownGrowth, threshold: float) -> list[str]:
    """What looks wrong about a growth, one sentence each with what to do.

    Args:
        growth: the object.
        threshold: below it, a ratio means foreground.
    """
    foreground = growth.ratio < threshold
    warnings = []
    if int(foreground.sum()) <= len({tuple(seed) for seed in growth.seeds.tolist()}):
        warnings.append("Nothing grew. Move the inside point to a typical place of the object, or add another.")
    leaks = [name for name, face in _faces(foreground) if face.mean() > LEAK_SHARE]
    if leaks:
        warnings.append(
            f"The growth leaks through the box: {', '.join(leaks)}. Lower the threshold, move that point further out, "
            "or add points inside."
        )
    stop = np.add(growth.start, growth.ratio.shape)
    at_border = [low == 0 for low in growth.start] + [end == size for end, size in zip(stop, growth.shape, strict=True)]
    touched = [DIRECTIONS[2 * (n % 3) + (n >= 3)] for n, touches in enumerate(at_border) if touches]
    if touched:
        warnings.append(f"The box touches the border of the image: {', '.join(sorted(touched, key=DIRECTIONS.index))}.")
    return warnings


def _faces(box: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The six faces of a box in canonical order, each with the name of its direction."""
    return [(DIRECTIONS[2 * axis + end], box.take(-end, axis)) for axis in range(3) for end in (0, 1)]
