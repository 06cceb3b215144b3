"""What a scanner does to a picture: blur, bias field, noise, arbitrary units."""

import numpy as np
from scipy import ndimage

from voxseed.data.phantoms.fields import Frame, noise_field
from voxseed.types import FloatArray

POINT_SPREAD = 0.45
"""Standard deviation of the blur in voxels, the same along every axis."""
AIR_HU = -1000.0


def scan_mr(
    frame: Frame, rng: np.random.Generator, signal: FloatArray, bias: float, noise: float, units: float
) -> FloatArray:
    """A magnitude image in arbitrary units.

    Args:
        signal: (I, J, K), about 0 to 1.
        bias: standard deviation of the smooth multiplicative field.
        noise: standard deviation of the noise in both parts of the complex signal, in the signal's units.
        units: how many scanner units 1 is.

    Returns:
        (I, J, K) float32, whole numbers from 0.
    """
    field = np.exp(bias * noise_field(frame, rng, sigma_mm=45))
    received = blur(signal) * field
    real = received + noise * rng.standard_normal(frame.shape)
    imaginary = noise * rng.standard_normal(frame.shape)
    return np.round(units * np.hypot(real, imaginary)).astype(np.float32)


def scan_ct(rng: np.random.Generator, hounsfield: FloatArray, noise: float) -> FloatArray:
    """A CT image in Hounsfield units; air is -1000 throughout, as after masking to the body.

    Args:
        hounsfield: (I, J, K).
        noise: standard deviation within the body, in Hounsfield units.

    Returns:
        (I, J, K) float32, whole numbers from -1000.
    """
    body = hounsfield > AIR_HU
    received = np.where(body, blur(hounsfield) + noise * rng.standard_normal(hounsfield.shape), AIR_HU)
    return np.round(np.maximum(received, AIR_HU)).astype(np.float32)


def blur(signal: FloatArray) -> FloatArray:
    """Point spread of the scanner."""
    return ndimage.gaussian_filter(signal, POINT_SPREAD, mode="nearest")
