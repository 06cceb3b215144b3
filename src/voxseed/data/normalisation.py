"""Intensity normalisation of one channel, so that a network sees the same scale whatever the scanner."""

from typing import Literal

import numpy as np

from voxseed.errors import InputError
from voxseed.settings import Settings
from voxseed.types import BoolArray, FloatArray

Kind = Literal["zscore", "ct", "none"]

PERCENTILES = (0.5, 99.5)
"""Intensities beyond them are clipped."""
_PERCENTILE_VOXELS = 1_000_000


class Normalisation(Settings):
    """How one channel is normalised.

    Attributes:
        kind: "zscore": each case on its own, over its valid voxels. "ct": all cases alike, since Hounsfield units mean
            the same in each. "none": as it is.
        lower, upper: intensities are clipped to them ("ct" only).
        mean, sd: then this is subtracted, and the result divided by that ("ct" only).
    """

    kind: Kind
    lower: float = 0.0
    upper: float = 0.0
    mean: float = 0.0
    sd: float = 1.0


def normalise(channel: FloatArray, valid: BoolArray, normalisation: Normalisation, name: str) -> FloatArray:
    """Apply a normalisation.

    Args:
        channel: (I, J, K).
        valid: (I, J, K), bool, at least one True.
        normalisation: what was decided for this channel.
        name: case and channel, for messages.

    Returns:
        float32; 0 outside the valid region.

    Raises:
        InputError: if all valid voxels have the same intensity.
    """
    values: FloatArray = channel[valid]
    if values.min() == values.max():
        raise InputError(
            f"{name}: all voxels have intensity {values[0]:g}, expected an image. Replace or remove this case."
        )
    if normalisation.kind == "zscore":
        values = zscored(values, name)
    elif normalisation.kind == "ct":
        values = (values.clip(normalisation.lower, normalisation.upper) - normalisation.mean) / normalisation.sd
    result = np.zeros(channel.shape, dtype=np.float32)
    result[valid] = values
    return result


def zscored(values: FloatArray, name: str) -> FloatArray:
    """Clip to the 0.5 and 99.5 percentiles, subtract the mean and divide by the standard deviation.

    A few bright voxels, such as vessels or artefacts, otherwise set the scale of the whole case. Percentiles of more
    than a million values are those of a random million.

    Raises:
        InputError: if 99 % of the values are equal.
    """
    clipped = values.clip(*np.percentile(drawn(values, _PERCENTILE_VOXELS, seed=0), PERCENTILES))
    mean, sd = clipped.mean(dtype=np.float64), clipped.std(dtype=np.float64)
    if clipped.min() == clipped.max():
        raise InputError(
            f"{name}: 99 % of the voxels have intensity {mean:g}, expected an image. Crop it to what was scanned."
        )
    return ((clipped - np.float32(mean)) / np.float32(sd)).astype(np.float32, copy=False)


def ct_normalisation(values: FloatArray, name: str) -> Normalisation:
    """Window, mean and standard deviation of voxels drawn from all training cases, as nnU-Net takes them.

    Raises:
        InputError: if 99 % of the values are equal.
    """
    lower, upper = np.percentile(values, PERCENTILES)
    clipped = values.clip(lower, upper).astype(np.float64)
    if lower == upper:
        raise InputError(f"{name}: 99 % of the voxels have intensity {lower:g}, expected Hounsfield units.")
    return Normalisation(
        kind="ct", lower=float(lower), upper=float(upper), mean=float(clipped.mean()), sd=float(clipped.std())
    )


def drawn(values: FloatArray, count: int, seed: int) -> FloatArray:
    """At most `count` of the values (..., N) along the last axis at random; the same ones for the same seed."""
    if values.shape[-1] <= count:
        return values
    return values[..., np.random.default_rng(seed).integers(values.shape[-1], size=count)]
