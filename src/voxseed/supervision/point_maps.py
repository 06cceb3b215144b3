"""Foreground probability from points that are scattered inside an object (Jiang et al. 2024, PW4MedSeg)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from voxseed.supervision.boxes import VoxelBox
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.types import LabelArray, Shape3, Spacing

_REACH: Final = 5.0
"""In standard deviations; what is cut off is below 4e-6 of the centre."""
_LEAST_SIGMA_VOXELS: Final = 2.0
"""Below it, single points show where they lie on every other voxel."""


def points_map(
    objects: Sequence[LabelArray], shape: Shape3, spacing_mm: Spacing, settings: ProbabilitySettings
) -> NDArray[np.float32]:
    """Probability of one class, from the points on its objects.

    g(v) = sum_k exp(-|v - s_k|^2 / (2 delta^2)), in mm, min-max normalised: over every object's own map, of which the
    largest then counts at each voxel, or over the sum of all.

    Args:
        objects: of each, (K, 3) voxel indices within the volume.
        shape: of the volume.
        spacing_mm: along each axis.
        settings: delta and what is normalised.

    Returns:
        `shape`, in [0, 1].
    """
    result = np.zeros(shape, dtype=np.float32)
    for voxels in objects:
        box, density = _density(voxels, shape, spacing_mm, sigma_of(voxels, spacing_mm, settings))
        if settings.normalised_per == "object":
            result[box.slices] = np.maximum(result[box.slices], _normalised(density, box.shape == shape))
        else:
            result[box.slices] += density
    return result if settings.normalised_per == "object" else _normalised(result, is_whole=True)


def sigma_of(voxels: LabelArray, spacing_mm: Spacing, settings: ProbabilitySettings) -> float:
    """Delta in mm: as it is set, or from the median distance from a point to its nearest neighbour.

    From the points it is at least two voxels along the finest axis, which is also what a single point has.

    Args:
        voxels: (K, 3), the points of one object.
        spacing_mm: along each axis.
        settings: `sigma_mm` and `sigma_spacings`.
    """
    if settings.sigma_mm != "auto":
        return settings.sigma_mm
    least_mm = _LEAST_SIGMA_VOXELS * min(spacing_mm)
    places_mm = np.unique(voxels, axis=0) * np.array(spacing_mm)
    if len(places_mm) == 1:
        return least_mm
    distances_mm, _ = KDTree(places_mm).query(places_mm, k=2)
    return max(least_mm, settings.sigma_spacings * float(np.median(distances_mm[:, 1])))


def _density(
    voxels: LabelArray, shape: Shape3, spacing_mm: Spacing, sigma_mm: float
) -> tuple[VoxelBox, NDArray[np.float32]]:
    """Sum of Gaussians of peak 1 around the points, up to a factor that is the same for every delta, and its box."""
    sigma_voxels = sigma_mm / np.array(spacing_mm)
    reach = np.ceil(_REACH * sigma_voxels).astype(int)
    start = np.maximum(voxels.min(axis=0) - reach, 0)
    stop = np.minimum(voxels.max(axis=0) + reach + 1, shape)
    counts = np.zeros(stop - start, dtype=np.float32)
    np.add.at(counts, tuple((voxels - start).T), 1)
    box = VoxelBox(tuple(map(int, start)), tuple(map(int, stop)))  # type: ignore[arg-type]
    # The filter's kernel sums to 1, not to the volume under a Gaussian of peak 1.
    return box, gaussian_filter(counts, sigma_voxels, mode="constant", truncate=_REACH) * float(sigma_voxels.prod())


def _normalised(density: NDArray[np.float32], is_whole: bool) -> NDArray[np.float32]:
    """From 0 to 1; elsewhere in the volume the density is 0 unless it is given whole."""
    low = density.min() if is_whole else np.float32(0)
    span = density.max() - low
    return (density - low) / span if span > 0 else np.ones_like(density)
