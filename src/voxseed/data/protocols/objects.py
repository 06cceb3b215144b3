"""The separate objects in a dense label, and which voxels of them a person would point at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from voxseed.data.labels import Labels
from voxseed.data.protocols.base import SimulationSettings
from voxseed.types import IGNORE, BoolArray, FloatArray, LabelArray, Shape3, Spacing

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_DEEP = 0.5
"""Further inside points are at least this share of the greatest depth inside."""


@dataclass(frozen=True)
class DenseObject:
    """One connected part of a class.

    Attributes:
        class_name: of the dataset's labels.
        object_number: 1, 2, … within the class, the largest first.
        mask: (i, j, k), the object in its tight box.
        start: (3,), first voxel of the tight box in the volume.
        volume_shape: (I, J, K) of the volume.
        spacing_mm: along each axis.
    """

    class_name: str
    object_number: int
    mask: BoolArray
    start: np.ndarray
    volume_shape: Shape3
    spacing_mm: Spacing

    @cached_property
    def depth_mm(self) -> FloatArray:
        """Distance of each voxel of `mask` from the nearest voxel that is not the object; beyond the volume none is."""
        distance = ndimage.distance_transform_edt(np.pad(self.mask, 1), sampling=self.spacing_mm)
        return distance[1:-1, 1:-1, 1:-1]

    @property
    def stop(self) -> np.ndarray:
        """(3,), one beyond the last voxel of the tight box."""
        return self.start + self.mask.shape

    def inside_voxels(self, count: int, rng: np.random.Generator) -> LabelArray:
        """Voxels (N, 3) of the volume, N <= count, near the middle of the object and spread over its length.

        The first is near the deepest voxel. Each further one is near the voxel farthest from those before, among the
        ridges of the object (local maxima of depth, at least half as deep as the deepest). "Near" is a random voxel
        of the object no further than half that place's depth. There are fewer than `count` in objects of few voxels.
        """
        middles = self._middles(count)
        voxels = np.argwhere(self.mask)
        chosen = []
        for middle in middles:
            offsets_mm = np.linalg.norm((voxels - middle) * self.spacing_mm, axis=1)
            near = voxels[offsets_mm <= self.depth_mm[tuple(middle)] / 2]
            chosen.append(near[rng.integers(len(near))])
        return np.unique(np.array(chosen), axis=0) + self.start

    def extreme_voxels(self, rng: np.random.Generator) -> LabelArray:
        """(6, 3) voxels of the volume: low and high end along each axis, drawn where several are equally extreme."""
        voxels = np.argwhere(self.mask)
        extremes = []
        for axis in range(3):
            for end in (0, self.mask.shape[axis] - 1):
                candidates = voxels[voxels[:, axis] == end]
                extremes.append(candidates[rng.integers(len(candidates))])
        return np.array(extremes) + self.start

    def _middles(self, count: int) -> list[LabelArray]:
        deepest = np.array(np.unravel_index(self.depth_mm.argmax(), self.mask.shape))
        is_ridge = self.depth_mm == ndimage.maximum_filter(self.depth_mm, footprint=NEIGHBOURS, mode="constant")
        candidates = np.argwhere(is_ridge & self.mask & (self.depth_mm >= _DEEP * self.depth_mm.max()))
        if len(candidates) < count:
            candidates = np.argwhere(self.mask)
        middles: list[LabelArray] = [deepest]
        distance_mm = np.full(len(candidates), np.inf)
        while len(middles) < min(count, len(candidates)):
            distance_mm = np.minimum(distance_mm, np.linalg.norm((candidates - middles[-1]) * self.spacing_mm, axis=1))
            middles.append(candidates[distance_mm.argmax()])
        return middles


@dataclass(frozen=True)
class FoundObjects:
    """The objects of a case.

    Attributes:
        objects: those that are annotated.
        skipped: class name → how many parts were too small.
        absent: classes without a voxel.
    """

    objects: tuple[DenseObject, ...]
    skipped: dict[str, int]
    absent: frozenset[str]

    @property
    def counts(self) -> dict[str, int]:
        """Class name → how many objects are annotated."""
        return {name: sum(item.class_name == name for item in self.objects) for name in self.skipped}


def find_objects(label: LabelArray, labels: Labels, spacing_mm: Spacing, settings: SimulationSettings) -> FoundObjects:
    """Connected parts (26 neighbours) of every class, the largest first.

    The largest part of a class is an object however small it is; other parts need `min_object_voxels`.

    Args:
        label: (I, J, K) class indices, IGNORE where nobody looked.
        labels: of the dataset.
        spacing_mm: along each axis.
        settings: of the simulation.
    """
    objects: list[DenseObject] = []
    skipped, absent = {}, set()
    is_complete = not (label == IGNORE).any()  # or else a class may be where nobody looked
    for class_index, name in enumerate(labels.foreground, start=1):
        parts, count = ndimage.label(label == class_index, structure=NEIGHBOURS)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        by_size = np.argsort(-sizes, kind="stable")
        kept = [part for rank, part in enumerate(by_size) if rank == 0 or sizes[part] >= settings.min_object_voxels]
        boxes = ndimage.find_objects(parts)
        for number, part in enumerate(kept, start=1):
            start = np.array([extent.start for extent in boxes[part]])
            mask = parts[boxes[part]] == part + 1
            objects.append(DenseObject(name, number, mask, start, label.shape, spacing_mm))
        skipped[name] = count - len(kept)
        if count == 0 and is_complete:
            absent.add(name)
    return FoundObjects(tuple(objects), skipped, frozenset(absent))


def to_mm(voxels: np.ndarray, affine: FloatArray) -> FloatArray:
    """Centres of voxels (N, 3), or positions between them, in RAS+ mm: (N, 3)."""
    return voxels @ affine[:3, :3].T + affine[:3, 3]
