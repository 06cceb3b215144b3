"""Lesions, and the things that look like them voxel by voxel."""

import numpy as np
from scipy import ndimage

from voxseed.data.phantoms.anatomy import Head, Tissue
from voxseed.data.phantoms.fields import Frame, bent_path, body_along, largest_component, noise_field, tube_mask
from voxseed.types import BoolArray, FloatArray

ROUGHNESS = 0.22
"""Of the lesion's surface, as a share of its radius."""
GAP_MM = 4.0
"""Between a lesion and its look-alikes: they are neighbours, not one body."""
CORTEX_LEVEL = 0.7
VESSELS = 26
NODULES = 30
THICKEST_MM = 4.6
ELONGATION = (2.4, 3.2)
BEND = (0.6, 1.6)
LOBES = (0.6, 0.95)
WITHIN = 0.88
ATTEMPTS = 400


def grow_lesion(head: Head, rng: np.random.Generator, volume_ml: float, keep_out: BoolArray | None = None) -> BoolArray:
    """An irregular, bent, lobed body of that volume in the brain, one face-connected piece.

    Args:
        volume_ml: its volume; within a few percent.
        keep_out: (I, J, K), where it may not grow, in addition to the ventricles.

    Returns:
        (I, J, K) bool.

    Raises:
        RuntimeError: if the brain has no room for it.
    """
    frame = head.frame
    allowed = head.brain & ~head.ventricles
    if keep_out is not None:
        allowed &= ~keep_out
    deep = np.argwhere(frame.depth_mm(allowed) > 7)
    voxels = round(volume_ml / frame.voxel_ml)
    for _ in range(ATTEMPTS):
        centre = frame.positions_mm[(slice(None), *deep[rng.integers(len(deep))])]
        lesion = _body_of_volume(frame, rng, centre, allowed, voxels)
        if lesion is not None:
            return lesion
    raise RuntimeError(f"No room for a lesion of {volume_ml} ml in {ATTEMPTS} attempts.")


def _body_of_volume(
    frame: Frame, rng: np.random.Generator, centre: FloatArray, allowed: BoolArray, voxels: int
) -> BoolArray | None:
    """The level set that has the wanted size, or None where it would fall apart."""
    radius = (voxels * frame.voxel_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3)
    path = bent_path(rng, centre, length_mm=radius * rng.uniform(*ELONGATION), bend=rng.uniform(*BEND), points=5)
    level = body_along(frame, path, radius * rng.uniform(*LOBES, len(path)))
    level = level + ROUGHNESS * noise_field(frame, rng, sigma_mm=0.35 * radius)
    body = level >= np.partition(level.ravel(), -voxels)[-voxels]
    if (body & allowed).sum() < WITHIN * voxels:
        return None
    level[~allowed] = -np.inf
    threshold = np.partition(level.ravel(), -voxels)[-voxels]
    lesion = ndimage.binary_fill_holes(largest_component(level >= threshold)) & allowed
    return lesion if 0.93 * voxels <= lesion.sum() <= 1.07 * voxels else None


def look_alikes(head: Head, rng: np.random.Generator, lesion: BoolArray) -> BoolArray:
    """Vessels, nodules and stretches of cortex as bright as the lesion, all over the brain.

    What tells the lesion from them is not a voxel's intensity: they are thin or small, the lesion is a thick body.

    Returns:
        (I, J, K) bool, at least `GAP_MM` from the lesion.
    """
    frame = head.frame
    everywhere = np.argwhere(head.brain)
    mask = (head.tissue == Tissue.GREY) & (noise_field(frame, rng, sigma_mm=8) > CORTEX_LEVEL)
    for _ in range(VESSELS):
        centre = _random_position(frame, rng, everywhere)
        path = bent_path(rng, centre, length_mm=rng.uniform(25, 50), bend=rng.uniform(0.3, 1.2), points=24)
        mask = mask | tube_mask(frame, path, radius_mm=rng.uniform(2.2, 3.2))
    for _ in range(NODULES):
        mask = mask | tube_mask(frame, _random_position(frame, rng, everywhere)[None], rng.uniform(3.2, 4.6))
    thin = frame.distance_mm(frame.depth_mm(mask) > THICKEST_MM) > THICKEST_MM + 1
    return mask & thin & head.brain & ~head.ventricles & (frame.distance_mm(lesion) > GAP_MM)


def _random_position(frame: Frame, rng: np.random.Generator, voxels: np.ndarray) -> FloatArray:
    return frame.positions_mm[(slice(None), *voxels[rng.integers(len(voxels))])]
