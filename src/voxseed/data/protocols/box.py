"""A box around each object."""

import numpy as np

from voxseed.data.annotations import CaseAnnotation, ObjectBox
from voxseed.data.grids import spacing_of
from voxseed.data.labels import Labels
from voxseed.data.protocols.base import PROTOCOLS, Simulation, SimulationSettings
from voxseed.data.protocols.objects import DenseObject, find_objects, to_mm
from voxseed.types import FloatArray, LabelArray


@PROTOCOLS.register("box")
def simulate_boxes(
    label: LabelArray, affine: FloatArray, labels: Labels, rng: np.random.Generator, settings: SimulationSettings
) -> Simulation:
    """A box per object, along the image's axes: the tight box and a random margin on each side."""
    found = find_objects(label, labels, spacing_of(affine), settings)
    boxes = tuple(_box(item, affine, rng, settings) for item in found.objects)
    annotation = CaseAnnotation("box", boxes=boxes, absent=found.absent)
    return Simulation(annotation, found.counts, found.skipped)


def _box(item: DenseObject, affine: FloatArray, rng: np.random.Generator, settings: SimulationSettings) -> ObjectBox:
    """From the outer edges of the first to those of the last voxels."""
    low, high = settings.margin_voxels
    margins = rng.integers(low, high + 1, size=(2, 3))
    start = np.maximum(item.start - margins[0], 0) - 0.5
    stop = np.minimum(item.stop + margins[1], item.volume_shape) - 0.5
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.linalg.det(axes) < 0:  # a box is the same for either direction of an axis, and Slicer wants a rotation
        axes = axes * [-1, 1, 1]
    center_mm = to_mm(((start + stop) / 2)[None], affine)[0]
    return ObjectBox(item.class_name, item.object_number, center_mm, axes, (stop - start) * item.spacing_mm)
