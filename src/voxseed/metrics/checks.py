"""What every metric asks of its masks."""

import numpy as np

from voxseed.errors import ShapeError
from voxseed.types import BoolArray, Spacing


def require_mask_pair(prediction: BoolArray, reference: BoolArray) -> None:
    """Both masks are 3D, boolean and of one shape.

    Raises:
        ShapeError: if not.
    """
    for name, mask in (("prediction", prediction), ("reference", reference)):
        if mask.ndim != 3 or mask.dtype != np.bool_:
            raise ShapeError(f"{name}: expected a 3D boolean mask, found shape {mask.shape} of {mask.dtype}.")
    if prediction.shape != reference.shape:
        raise ShapeError(f"prediction {prediction.shape} and reference {reference.shape} differ in shape.")


def require_spacing(spacing_mm: Spacing) -> None:
    """Three positive, finite lengths.

    Raises:
        ShapeError: if not.
    """
    if len(spacing_mm) != 3 or not all(0 < length < np.inf for length in spacing_mm):
        raise ShapeError(f"spacing_mm: expected three positive lengths in mm, found {spacing_mm}.")
