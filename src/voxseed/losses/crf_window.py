"""Which voxels a voxel is compared with in the multi-view CRF, and how much their distance counts."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final, Literal

import numpy as np

from voxseed.types import FloatArray, Shape3

View = Literal["axial", "coronal", "sagittal"]
VIEWS: Final[tuple[View, ...]] = ("axial", "coronal", "sagittal")
_NORMAL_AXIS: Final[dict[View, int]] = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Axis across the slices of a view; arrays are in RAS order: I is left-right, J front-back, K feet-head."""


@dataclass(frozen=True)
class Window:
    """Square windows in the slices of each view.

    Attributes:
        radius: voxels along (I, J, K) on either side; 5 gives 11 x 11.
        sigma_r_voxels: spatial bandwidth, in voxels of the grid that the CRF is applied on.
        views: at least one, each at most once.

    Raises:
        ValueError: if a value makes no window.
    """

    radius: Shape3 = (5, 5, 5)
    sigma_r_voxels: float = 6.0
    views: tuple[View, ...] = VIEWS

    def __post_init__(self) -> None:
        if min(self.radius) < 0 or max(self.radius) < 1:
            raise ValueError(f"radius: expected three numbers >= 0, not all 0, found {self.radius}.")
        if self.sigma_r_voxels <= 0:
            raise ValueError(f"sigma_r_voxels: expected a number above 0, found {self.sigma_r_voxels}.")
        if not self.views or len(set(self.views)) < len(self.views) or not set(self.views) <= set(VIEWS):
            raise ValueError(f"views: expected some of {', '.join(VIEWS)}, found {self.views}.")


@dataclass(frozen=True, eq=False)
class Offsets:
    """All steps from a voxel to those it is compared with, in every view at once. Symmetric: -d is there with d.

    Attributes:
        steps: (N, 3) int64, in lexicographic order, so that the second half mirrors the first.
        log_weights: (N,) float64, log(n_views exp(-|d|^2 / (2 sigma_r^2))); a step along an axis belongs to the
            windows of two views and counts twice.
    """

    steps: np.ndarray
    log_weights: FloatArray


@lru_cache(maxsize=32)
def window_offsets(window: Window) -> Offsets:
    """The offsets of a window."""
    steps, log_weights = [], []
    for step in product(*(range(-r, r + 1) for r in window.radius)):
        view_count = sum(step[_NORMAL_AXIS[view]] == 0 for view in window.views)
        if view_count and any(step):
            squared = sum(d * d for d in step)
            steps.append(step)
            log_weights.append(math.log(view_count) - squared / (2 * window.sigma_r_voxels**2))
    return Offsets(np.array(steps, dtype=np.int64).reshape(-1, 3), np.array(log_weights))
