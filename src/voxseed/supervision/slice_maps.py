"""Foreground probability between completely annotated slices, by signed distance."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from voxseed.types import IGNORE, BoolArray, FloatArray, LabelArray, Spacing

_LEAST_MM = 1e-6


def complete_slices(painted: LabelArray) -> dict[int, NDArray[np.int64]]:
    """Axis → indices of the slices across it in which every voxel is annotated, where there are two or more.

    Args:
        painted: (I, J, K), class indices and IGNORE.
    """
    known = painted != IGNORE
    found = {axis: np.flatnonzero(known.all(axis=_others(axis))) for axis in range(3)}
    return {axis: indices for axis, indices in found.items() if len(indices) > 1}


def slices_map(painted: LabelArray, class_index: int, spacing_mm: Spacing) -> NDArray[np.float32]:
    """Probability of a class: 1 or 0 in the annotated slices, interpolated between them.

    phi is the signed distance, in mm within the slice, from what is not the class (positive inside); it is linear
    between two neighbouring annotated slices. With u the distance to the nearer of them,
    g = (1 + phi / (|phi| + u)) / 2: the border is as uncertain as an annotated slice is far away. A class that a slice
    does not have ends half-way to it; beyond the outermost slices phi falls by the distance. Where slices lie across
    several axes, their probabilities are averaged with weights 1 / u.

    Args:
        painted: (I, J, K), class indices and IGNORE, with two or more complete slices across some axis.
        class_index: the class.
        spacing_mm: along each axis.

    Returns:
        (I, J, K), in [0, 1].
    """
    total, weights = np.zeros(painted.shape, dtype=np.float32), np.zeros(painted.shape, dtype=np.float32)
    for axis, indices in complete_slices(painted).items():
        mask = np.moveaxis(painted, axis, 0) == class_index
        others = [spacing_mm[other] for other in _others(axis)]
        along, distances_mm = _interpolated(mask, indices, spacing_mm[axis], others)
        weight = (1 / np.maximum(distances_mm, _LEAST_MM)).astype(np.float32).reshape(-1, 1, 1)
        np.moveaxis(total, axis, 0)[:] += weight * along
        np.moveaxis(weights, axis, 0)[:] += weight
    return total / weights


def signed_distance(mask: BoolArray, spacing_mm: list[float]) -> FloatArray:
    """Distance of each pixel to the nearest one of the other kind, negative outside the mask; -inf if it is empty.

    Beyond the slice nothing is the mask.

    Args:
        mask: (A, B).
        spacing_mm: along both axes.
    """
    if not mask.any():
        return np.full(mask.shape, -np.inf)
    inside = distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1]
    outside = distance_transform_edt(~mask, sampling=spacing_mm)
    return inside - outside


def _interpolated(
    mask: BoolArray, indices: NDArray[np.int64], step_mm: float, spacing_mm: list[float]
) -> tuple[NDArray[np.float32], FloatArray]:
    """Probability (N, A, B) of a mask that is known in the slices `indices`, and each slice's distance from them."""
    distances = {int(index): signed_distance(mask[index], spacing_mm) for index in indices}
    result = np.zeros(mask.shape, dtype=np.float32)
    nearest_mm = np.abs(np.arange(len(mask))[:, None] - indices).min(axis=1) * step_mm
    for number, u in enumerate(nearest_mm):
        later = int(np.searchsorted(indices, number))
        low, high = int(indices[max(later - 1, 0)]), int(indices[min(later, len(indices) - 1)])
        phi = _between(distances[low], distances[high], (number - low) / (high - low) if high > low else 0.0)
        if low == high:  # beyond the outermost slice, or its own
            phi = phi - u
        if np.isfinite(phi).all():
            result[number] = (1 + phi / (np.abs(phi) + u)) / 2 if u > 0 else phi > 0
    return result, nearest_mm


def _between(low: FloatArray, high: FloatArray, share: float) -> FloatArray:
    """Linear from one to the other; a slice without the class is as deep outside as its neighbour is inside."""
    if np.isinf(low).all() and np.isfinite(high).all():
        low = np.full_like(high, -high.max())
    elif np.isinf(high).all() and np.isfinite(low).all():
        high = np.full_like(low, -low.max())
    if np.isinf(low).all():
        return low
    return (1 - share) * low + share * high


def _others(axis: int) -> tuple[int, int]:
    first, second = (other for other in range(3) if other != axis)
    return first, second
