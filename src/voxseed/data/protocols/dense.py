"""Everything annotated: the upper bound."""

import numpy as np

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.grids import spacing_of
from voxseed.data.labels import Labels
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import find_objects
from voxseed.data.volumes import Volume
from voxseed.types import FloatArray, LabelArray


@PROTOCOLS.register("dense")
def simulate_dense(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """Every voxel: the dense label itself."""
    found = find_objects(label, labels, spacing_of(affine), settings.model_copy(update={"min_object_voxels": 1}))
    painted = Volume(labels.with_ignore().from_class_indices(label), affine)
    annotation = CaseAnnotation("dense", painted=painted, absent=found.absent)
    return Simulation(annotation, found.counts, found.skipped)
