"""Many points scattered inside an object (PW4MedSeg)."""

import numpy as np

from voxseed.data.annotations import SCATTERED_POINTS, CaseAnnotation, ObjectPoints
from voxseed.data.grids import spacing_of
from voxseed.data.labels import Labels
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import DenseObject, find_objects, to_mm
from voxseed.types import FloatArray, LabelArray

_KEPT = 0.5
"""Share of an object's voxels among which points are chosen."""


@PROTOCOLS.register(SCATTERED_POINTS)
def simulate_scattered_points(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """Points scattered inside each object, and none outside.

    Jiang et al. 2024 (PW4MedSeg): half of the object's voxels are kept at random, and farthest-point sampling takes
    the points from these. An object of fewer voxels has fewer points.
    """
    found = find_objects(label, labels, spacing_of(affine), settings)
    points = tuple(
        ObjectPoints(
            item.class_name,
            item.object_number,
            to_mm(_scattered_voxels(item, rng, settings.scattered_points), affine),
            np.empty((0, 3)),
        )
        for item in found.objects
    )
    annotation = CaseAnnotation(SCATTERED_POINTS, points=points, absent=found.absent)
    return Simulation(annotation, found.counts, found.skipped)


def farthest_points(places: FloatArray, count: int) -> np.ndarray:
    """Indices of places that are far from each other.

    The first is farthest from the centre of mass of all, each further one is farthest from those before.

    Args:
        places: (N, 3).
        count: at most so many.

    Returns:
        (min(count, N),) int64, in the order in which they were chosen.
    """
    chosen = [int(np.linalg.norm(places - places.mean(axis=0), axis=1).argmax())]
    squared = np.full(len(places), np.inf)
    while len(chosen) < min(count, len(places)):
        squared = np.minimum(squared, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
        squared[chosen[-1]] = -1.0  # never twice, even where several places are one
        chosen.append(int(squared.argmax()))
    return np.array(chosen)


def _scattered_voxels(item: DenseObject, rng: np.random.Generator, count: int) -> LabelArray:
    """(N, 3) voxels of the volume, N <= count."""
    voxels = np.argwhere(item.mask)
    kept = rng.permutation(len(voxels))[: max(1, round(_KEPT * len(voxels)))]
    voxels = voxels[np.sort(kept)]
    return voxels[farthest_points(voxels * np.array(item.spacing_mm), count)] + item.start
