"""Seven points: one inside an object, six beyond it (PA-Seg)."""

import numpy as np

from voxseed.data.annotations import CaseAnnotation, ObjectPoints
from voxseed.data.grids import spacing_of
from voxseed.data.labels import Labels
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import DenseObject, find_objects, to_mm
from voxseed.types import FloatArray, LabelArray


@PROTOCOLS.register("points")
def simulate_points(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """Points per object: one or more inside, and six outside, one beyond each extreme.

    Zhai et al. 2023 (PA-Seg), section III-A.1. An outside point lies beyond an extreme voxel of the object, along the
    image's own axis, by a random margin, clipped to the volume. Where the object reaches the face of the volume
    there is no place beyond it; the point then lies on the face beside the object, if there is room.
    """
    found = find_objects(label, labels, spacing_of(affine), settings)
    points = tuple(
        ObjectPoints(
            item.class_name,
            item.object_number,
            to_mm(item.inside_voxels(settings.inside_points, rng), affine),
            to_mm(_outside_voxels(item, rng, settings), affine),
        )
        for item in found.objects
    )
    annotation = CaseAnnotation("points", points=points, absent=found.absent)
    return Simulation(annotation, found.counts, found.skipped)


def _outside_voxels(item: DenseObject, rng: np.random.Generator, settings: SimulationSettings) -> LabelArray:
    """(6, 3): each extreme voxel moved out by its own margin."""
    low, high = settings.margin_voxels
    outside = item.extreme_voxels(rng)
    for number, extreme in enumerate(outside):
        axis, is_high = divmod(number, 2)
        margin = int(rng.integers(low, high + 1))
        last = item.volume_shape[axis] - 1
        moved = min(max(extreme[axis] + (margin if is_high else -margin), 0), last)
        if moved == extreme[axis]:
            outside[number] = _beside_on_face(item, extreme, axis)
        else:
            outside[number, axis] = moved
    return outside


def _beside_on_face(item: DenseObject, extreme: LabelArray, axis: int) -> LabelArray:
    """The voxel nearest to an extreme one, in its slice across `axis`, that is not the object; itself if none is."""
    window_start = np.maximum(item.start - 1, 0)
    window_stop = np.minimum(item.stop + 1, item.volume_shape)
    window_start[axis], window_stop[axis] = extreme[axis], extreme[axis] + 1
    free = np.argwhere(np.ones(window_stop - window_start, dtype=bool)) + window_start
    within = ((free >= item.start) & (free < item.stop)).all(axis=1)
    occupied = np.zeros(len(free), dtype=bool)
    occupied[within] = item.mask[tuple((free[within] - item.start).T)]
    free = free[~occupied]
    if len(free) == 0:
        return extreme
    distances_mm = np.linalg.norm((free - extreme) * item.spacing_mm, axis=1)
    return free[distances_mm.argmin()]
