"""Overlap and size: Dice and the volume in millilitres."""

from math import prod

import numpy as np

from voxseed.metrics.checks import require_mask_pair, require_spacing
from voxseed.types import BoolArray, Spacing

MM3_PER_ML = 1000.0


def dice(prediction: BoolArray, reference: BoolArray) -> float:
    """Dice coefficient 2|P ∩ R| / (|P| + |R|), in [0, 1].

    Two empty masks agree: 1. One empty mask: 0.

    Args:
        prediction: (I, J, K) bool.
        reference: (I, J, K) bool.

    Raises:
        ShapeError: if the masks are not 3D, boolean and of one shape.
    """
    require_mask_pair(prediction, reference)
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return 1.0
    return 2.0 * int(np.count_nonzero(prediction & reference)) / total


def volume_ml(mask: BoolArray, spacing_mm: Spacing) -> float:
    """Volume of a mask in millilitres: its voxels times the product of the spacing.

    Raises:
        ShapeError: if the spacing is not three positive lengths.
    """
    require_spacing(spacing_mm)
    return int(np.count_nonzero(mask)) * prod(spacing_mm) / MM3_PER_ML
