"""Extreme points: one inside an object, six on its extremes."""

import numpy as np

from voxseed.data.annotations import EXTREME_POINTS, CaseAnnotation, ObjectPoints
from voxseed.data.grids import spacing_of
from voxseed.data.labels import Labels
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import DenseObject, find_objects, to_mm
from voxseed.types import FloatArray, LabelArray


@PROTOCOLS.register(EXTREME_POINTS)
def simulate_extreme_points(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """Points per object: one or more inside, and six on the extreme voxels of the object.

    With `jitter_voxels` each of the six is moved along its axis by a random number of voxels, in or out, but never
    beyond the volume or past an inside point.
    """
    found = find_objects(label, labels, spacing_of(affine), settings)
    points = []
    for item in found.objects:
        inside = item.inside_voxels(settings.inside_points, rng)
        extremes = _jittered(item, item.extreme_voxels(rng), inside, rng, settings)
        points.append(ObjectPoints(item.class_name, item.object_number, to_mm(inside, affine), to_mm(extremes, affine)))
    annotation = CaseAnnotation(EXTREME_POINTS, points=tuple(points), absent=found.absent)
    return Simulation(annotation, found.counts, found.skipped)


def _jittered(
    item: DenseObject,
    extremes: LabelArray,
    inside: LabelArray,
    rng: np.random.Generator,
    settings: SimulationSettings,
) -> LabelArray:
    moved = extremes.copy()
    for number, extreme in enumerate(extremes):
        axis, is_high = divmod(number, 2)
        bounds = (inside[:, axis].max(), item.volume_shape[axis] - 1) if is_high else (0, inside[:, axis].min())
        jitter = int(rng.integers(-settings.jitter_voxels, settings.jitter_voxels + 1))
        moved[number, axis] = np.clip(extreme[axis] + jitter, *bounds)
    return moved
