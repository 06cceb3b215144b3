"""Lesions, and the things that look like them voxel by voxel."""

import numpy as np
from scipy import ndimage

from voxseed.data.phantoms.anatomy import Head, Tissue
from voxseed.data.phantoms.fields import Frame, bent_path, body_level, largest_component, noise_field
from voxseed.types import BoolArray, FloatArray

VOLUME_ML = (19.0, 60.0)
ROUGHNESS = 0.16
ELONGATION = (2.6, 3.4)
BEND = (0.8, 2.0)
LOBES = (0.7, 1.0)
LOBE_COUNT = 5
"""A lesion's surface roughness, length and lobes, in units of the radius of a ball of its volume; see `bent_path`."""
BOX_SHARE = (0.15, 0.25)
"""Of its tight box that a lesion fills; a ball fills 0.52."""
THICKNESS = 0.6
"""Least depth of its deepest voxel, in the same unit."""
WITHIN = 0.45
"""Least depth of each lobe's centre in the tissue that it may fill, as a share of the lobe's radius."""
DEEP_MM = 7.0
"""Least depth of its middle in that tissue."""
VOLUME_TOLERANCE = 0.07
ATTEMPTS = 4000
SHRINK = 0.9995
"""Per attempt: where the brain has no room for a large lesion, a smaller one grows."""

GAP_MM = 5.0
"""Between a lesion and its look-alikes: they are neighbours, not one body."""
THICKEST_MM = 4.6
"""Greatest depth of a look-alike's deepest voxel."""
CORTEX_LEVEL = 0.8
"""Of a field with mean 0 and standard deviation 1, above which cortex is bright: about a fifth of it."""
VESSELS = 22
VESSEL_MM = 2.7
NODULES = 24
NODULE_MM = 3.9


def random_volume_ml(rng: np.random.Generator) -> float:
    """Log-uniform within `VOLUME_ML`."""
    return float(np.exp(rng.uniform(*np.log(VOLUME_ML))))


def grow_lesion(head: Head, rng: np.random.Generator, volume_ml: float, keep_out: BoolArray | None = None) -> BoolArray:
    """An irregular, bent, lobed body of that volume in the brain, one face-connected piece.

    Args:
        volume_ml: its volume, within `VOLUME_TOLERANCE`; smaller where there is no room.
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
    depth_mm = frame.depth_mm(allowed)
    deep = np.argwhere(depth_mm > DEEP_MM)
    for attempt in range(ATTEMPTS if len(deep) else 0):
        wanted_ml = volume_ml * SHRINK**attempt
        radius = (wanted_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3)
        centre = _random_position(frame, rng, deep)
        path = bent_path(rng, centre, radius * rng.uniform(*ELONGATION), rng.uniform(*BEND), points=LOBE_COUNT)
        radii = radius * rng.uniform(*LOBES, LOBE_COUNT)
        if (depth_mm[frame.indices(path)] < WITHIN * radii).any():
            continue
        lesion = _body(frame, rng, path, radii, allowed, round(wanted_ml / frame.voxel_ml))
        if _is_plausible(frame, lesion, wanted_ml, radius):
            return lesion
    raise RuntimeError(f"No room for a lesion of {volume_ml:.0f} ml in the brain.")


def _body(
    frame: Frame, rng: np.random.Generator, path: FloatArray, radii: FloatArray, allowed: BoolArray, voxels: int
) -> BoolArray:
    """The rough body around a path that has about the wanted number of voxels."""
    roughness = ROUGHNESS * noise_field(frame, rng, sigma_mm=0.45 * radii.mean())
    level = body_level(frame.positions_mm[:, allowed], path, radii) + roughness[allowed]
    body = np.zeros(frame.shape, dtype=bool)
    body[allowed] = level >= np.partition(level, -voxels)[-voxels]
    return ndimage.binary_fill_holes(largest_component(body)) & allowed


def _is_plausible(frame: Frame, lesion: BoolArray, wanted_ml: float, radius: float) -> bool:
    """Whole, thick somewhere, and neither so compact nor so stretched that it would be easy or hopeless."""
    if abs(lesion.sum() * frame.voxel_ml / wanted_ml - 1) > VOLUME_TOLERANCE:
        return False
    return BOX_SHARE[0] <= box_share(lesion) <= BOX_SHARE[1] and frame.depth_mm(lesion).max() >= THICKNESS * radius


def box_share(mask: BoolArray) -> float:
    """Share of its tight box that a mask fills: 0.52 for a ball."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return float(mask[box].mean())


def look_alikes(head: Head, rng: np.random.Generator, lesion: BoolArray) -> BoolArray:
    """Vessels, nodules and stretches of cortex as bright as the lesion, all over the brain.

    What tells the lesion from them is not a voxel's intensity: they are thin or small, the lesion is a thick body.

    Returns:
        (I, J, K) bool, at least `GAP_MM` from the lesion.
    """
    frame = head.frame
    everywhere = np.argwhere(head.brain)
    cortex = (head.tissue == Tissue.GREY) & (noise_field(frame, rng, sigma_mm=8) > CORTEX_LEVEL)
    width = 1 + 0.25 * noise_field(frame, rng, sigma_mm=8)
    vessels = [
        bent_path(rng, _random_position(frame, rng, everywhere), rng.uniform(25, 50), rng.uniform(0.3, 1.2), points=24)
        for _ in range(VESSELS)
    ]
    nodules = np.stack([_random_position(frame, rng, everywhere) for _ in range(NODULES)])
    mask = cortex | _near(frame, np.concatenate(vessels), VESSEL_MM * width) | _near(frame, nodules, NODULE_MM * width)
    thick = frame.distance_mm(frame.depth_mm(mask) > THICKEST_MM) <= THICKEST_MM + 1
    return mask & ~thick & head.brain & ~head.ventricles & (frame.distance_mm(lesion) > GAP_MM)


def _near(frame: Frame, points_mm: FloatArray, radius_mm: FloatArray) -> BoolArray:
    """Voxels within a radius, which may differ from place to place, of any of the points (N, 3)."""
    marked = np.zeros(frame.shape, dtype=bool)
    marked[frame.indices(points_mm)] = True
    return frame.distance_mm(marked) < radius_mm


def _random_position(frame: Frame, rng: np.random.Generator, voxels: np.ndarray) -> FloatArray:
    return frame.positions_mm[(slice(None), *voxels[rng.integers(len(voxels))])]
