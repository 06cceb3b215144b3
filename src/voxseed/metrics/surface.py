"""Surface distances: ASSD, HD95 and NSD, all from one computation per pair of masks.

The surface of a mask is its foreground voxels with a background 6-neighbour; what lies outside the image is background.
Distances are between voxel centres in mm along axes of the given spacing (the column norms of the full affine), so they
are exact for every orthogonal affine, oblique ones included; a sheared grid is measured as if its axes were orthogonal.

A k-d tree over the surface voxels is used and no distance map: the cost follows the surfaces, not the volume. Splitting
at the middle of a cell instead of at the median matters on a lattice, where many voxels are equally far.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from voxseed.metrics.checks import require_mask_pair, require_spacing
from voxseed.types import BoolArray, FloatArray, Spacing

ROUNDING_MM = 1e-5
"""Slack of "within the tolerance": files store the spacing as float32, so 5 voxels of 1.2 mm are not exactly 6 mm."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of every surface voxel of one mask to the other mask's surface.

    Where the other mask is empty the distances are infinite; an empty mask has no surface voxels.

    Attributes:
        prediction_to_reference_mm: (N,), one for each surface voxel of the prediction.
        reference_to_prediction_mm: (M,), one for each surface voxel of the reference.
    """

    prediction_to_reference_mm: FloatArray
    reference_to_prediction_mm: FloatArray

    @property
    def assd_mm(self) -> float | None:
        """Average symmetric surface distance: the mean over both directions pooled. None if a mask is empty."""
        if not self._both_exist:
            return None
        return float(self._pooled.mean())

    @property
    def hd95_mm(self) -> float | None:
        """The larger of the two directed 95th percentiles (linearly interpolated). None if a mask is empty."""
        if not self._both_exist:
            return None
        directed = (self.prediction_to_reference_mm, self.reference_to_prediction_mm)
        return max(float(np.percentile(distances, 95)) for distances in directed)

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface distance: share of both surfaces within the tolerance, in [0, 1].

        Like Dice it is 1 for two empty masks and 0 if one is empty.
        """
        if self._pooled.size == 0:
            return 1.0
        return float(np.mean(self._pooled <= tolerance_mm + ROUNDING_MM))

    @property
    def _both_exist(self) -> bool:
        return self.prediction_to_reference_mm.size > 0 and self.reference_to_prediction_mm.size > 0

    @property
    def _pooled(self) -> FloatArray:
        return np.concatenate([self.prediction_to_reference_mm, self.reference_to_prediction_mm])


def surface_distances(
    prediction: BoolArray, reference: BoolArray, spacing_mm: Spacing, workers: int = 1
) -> SurfaceDistances:
    """Distances between the surfaces of two masks.

    Args:
        prediction: (I, J, K) bool.
        reference: (I, J, K) bool.
        spacing_mm: distance between neighbouring voxel centres along I, J and K.
        workers: threads; -1 for all cores.

    Raises:
        ShapeError: if the masks are not 3D, boolean and of one shape, or the spacing is not three positive lengths.
    """
    require_mask_pair(prediction, reference)
    require_spacing(spacing_mm)
    predicted = surface_voxels(prediction) * np.asarray(spacing_mm)
    referred = surface_voxels(reference) * np.asarray(spacing_mm)
    return SurfaceDistances(
        prediction_to_reference_mm=_nearest(predicted, referred, workers),
        reference_to_prediction_mm=_nearest(referred, predicted, workers),
    )


def surface_voxels(mask: BoolArray) -> np.ndarray:
    """Indices of foreground voxels with a background 6-neighbour, or on the border of the image: (N, 3)."""
    box = _bounding_box(mask)
    padded = np.pad(mask[box], 1)
    inside = padded[1:-1, 1:-1, 1:-1]
    surrounded = padded[:-2, 1:-1, 1:-1] & padded[2:, 1:-1, 1:-1]
    surrounded &= padded[1:-1, :-2, 1:-1]
    surrounded &= padded[1:-1, 2:, 1:-1]
    surrounded &= padded[1:-1, 1:-1, :-2]
    surrounded &= padded[1:-1, 1:-1, 2:]
    return np.stack(np.nonzero(inside & ~surrounded), axis=1) + [axis.start for axis in box]


def _bounding_box(mask: BoolArray) -> tuple[slice, slice, slice]:
    """The smallest box around the foreground; empty slices for an empty mask."""
    columns: BoolArray = np.asarray(np.any(mask, axis=2))
    return (
        _extent(np.flatnonzero(np.any(columns, axis=1))),
        _extent(np.flatnonzero(np.any(columns, axis=0))),
        _extent(np.flatnonzero(np.any(mask, axis=(0, 1)))),
    )


def _extent(places: NDArray[np.intp]) -> slice:
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def _nearest(points: FloatArray, others: FloatArray, workers: int) -> FloatArray:
    """Distance of each of `points` (N, 3) to the nearest of `others` (M, 3): (N,), infinite if M is 0."""
    if len(points) == 0 or len(others) == 0:
        return np.full(len(points), np.inf)
    tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points, workers=workers)
    return np.asarray(distances)
