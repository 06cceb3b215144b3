"""Growth of one object for the page: ratios to draw, and what looks wrong about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.object_checks import voxel_indices
from voxseed.data.point_roles import DIRECTIONS
from voxseed.data.volumes import Image
from voxseed.errors import InputError
from voxseed.server.objects import PlacedObject, problem_of
from voxseed.server.volumes import PreparedImage, canonical_box, canonical_grid
from voxseed.supervision.build import grow_points
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.types import LabelArray, Shape3

LEAK_SHARE = 0.05
"""Of a face of the box: with more foreground than that on it, the growth went through."""

PREVIEW_VOXELS = 64**3
"""A growth in a box of at most so many voxels is shown at once; of larger ones a coarse copy comes first."""

PREVIEW_TOLERANCE = 0.25
"""Of a step: a box that is a little larger does not get another voxel left out."""

SHORTEST_THINNED = 32

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
    item: PlacedObject,
    image: PreparedImage,
    labels: Labels,
    settings: ExpansionSettings,
    protocol: str,
    case: str,
    steps: Shape3 = (1, 1, 1),
) -> ShownGrowth:
    """Grow an object as training does; exactly so if no voxel is left out.

    Args:
        item: the object.
        image: of the case.
        labels: of the dataset.
        settings: how points are grown.
        protocol: of the annotation set.
        case: its name, for messages.
        steps: of every so many voxels along each axis of the image one is used.

    Raises:
        InputError: if it lacks points, or they make no sense.
    """
    grid = Grid(image.image.shape, image.image.affine)
    problem = problem_of(item, grid, protocol) if item.roles else f"{item.name}: no points yet."
    if problem:
        raise InputError(problem)
    points = item.points()
    used = _every(image, steps)
    growth = grow_points(points, protocol, used.image, labels, settings, used.valid, case)
    if growth.ratio is None:
        raise InputError(f"{item.name}: nothing grows from it.")
    start, ratio = canonical_box(*_enlarged(growth.box.start, growth.ratio, steps, grid.shape), grid)
    turned = canonical_grid(grid)
    seeds = voxel_indices(points.inside_mm, turned.affine) - np.array(start)
    return ShownGrowth(start, ratio, seeds, turned.shape)


def preview_steps(item: PlacedObject, grid: Grid) -> Shape3:
    """How many voxels to step so that a growth takes a fraction of a second: 1 along axes where the box is short."""
    corners = voxel_indices(item.points_mm, grid.affine)
    extents = np.ptp(corners, axis=0) + 1
    step = max(1, int(np.ceil(np.cbrt(extents.prod() / PREVIEW_VOXELS) - PREVIEW_TOLERANCE)))
    i, j, k = (step if extent >= SHORTEST_THINNED else 1 for extent in extents)
    return i, j, k


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


def _every(image: PreparedImage, steps: Shape3) -> PreparedImage:
    """Every n-th voxel along each axis."""
    thin = tuple(slice(None, None, step) for step in steps)
    affine = image.image.affine @ np.diag([*steps, 1.0])
    return PreparedImage(Image(image.image.array[(slice(None), *thin)], affine), image.valid[thin])


def _enlarged(
    start: Shape3, ratio: NDArray[np.float32], steps: Shape3, shape: Shape3
) -> tuple[Shape3, NDArray[np.float32]]:
    """A box of every n-th voxel with each voxel repeated, as far as the volume of that shape reaches."""
    for axis, step in enumerate(steps):
        ratio = ratio.repeat(step, axis)
    i, j, k = (first * step for first, step in zip(start, steps, strict=True))
    return (i, j, k), ratio[: shape[0] - i, : shape[1] - j, : shape[2] - k]


def _faces(box: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The six faces of a box in canonical order, each with the name of its direction."""
    return [(DIRECTIONS[2 * axis + end], box.take(-end, axis)) for axis in range(3) for end in (0, 1)]
