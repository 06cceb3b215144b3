"""Ramp-up of regularisers: what a network believes early in training should not be reinforced."""

import math


def gaussian_ramp(fraction: float, length: float = 0.1) -> float:
    """Weight that grows from exp(-5) to 1: exp(-5 (1 - t)^2) with t = fraction / length, at most 1.

    Laine and Aila 2017 (temporal ensembling); the released program of Zhai et al. 2023 (PA-Seg) ramps its
    regularisers so over the first tenth of training.

    Args:
        fraction: share of the training that is done, in [0, 1].
        length: share of the training that the ramp takes, in [0, 1]; 0 switches the ramp off.
    """
    t = min(fraction / length, 1.0) if length > 0 else 1.0
    return math.exp(-5.0 * (1.0 - t) ** 2)
