"""Some whole slices in one or two planes (cross-teaching)."""

import numpy as np
from scipy import ndimage

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.labels import Labels
from voxseed.data.planes import SLICES, axis_across
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import NEIGHBOURS
from voxseed.data.volumes import Volume
from voxseed.types import IGNORE, BoolArray, FloatArray, LabelArray


@PROTOCOLS.register(SLICES)
def simulate_slices(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """All voxels of some slices in one or two planes of the patient.

    Cai et al. 2023 (cross-teaching): with one random offset r in [0, s), slices r, r + s, r + 2s, ... of the first
    plane and 2r, 2r + 2s, 2r + 4s, ... of the second. In a volume with few slices r is such that each plane has one.
    With `slices_per_volume` s follows from the shape: both planes together then have about so many.
    The rest is unannotated; no class is called absent, because nobody looked at the whole volume.
    """
    annotated = _chosen(label.shape, [axis_across(plane, affine) for plane in settings.planes], rng, settings)
    painted = Volume(labels.with_ignore().from_class_indices(np.where(annotated, label, IGNORE)), affine)
    objects, missed = {}, {}
    for class_index, name in enumerate(labels.foreground, start=1):
        parts, count = ndimage.label(label == class_index, structure=NEIGHBOURS)
        objects[name] = len(np.setdiff1d(parts[annotated], 0))
        missed[name] = count - objects[name]
    return Simulation(CaseAnnotation(SLICES, painted=painted), objects, missed)


def _chosen(
    shape: tuple[int, ...], axes: list[int], rng: np.random.Generator, settings: SimulationSettings
) -> BoolArray:
    """(I, J, K), the slices across each axis."""
    bounds = [(shape[axis] - 1) // multiple + 1 for multiple, axis in enumerate(axes, start=1)]
    every = settings.every_slices
    if settings.slices_per_volume is not None:
        every = max(1, round(sum(bounds) / settings.slices_per_volume))
    offset = int(rng.integers(min(every, *bounds)))
    chosen = np.zeros(shape, dtype=bool)
    for multiple, axis in enumerate(axes, start=1):
        np.moveaxis(chosen, axis, 0)[multiple * offset :: multiple * every] = True
    return chosen
