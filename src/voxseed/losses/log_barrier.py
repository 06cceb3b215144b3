"""Log-barrier extension: a smooth penalty for constraints that are not met, which still pulls where they are."""

import math

import torch
from torch import Tensor


def log_barrier(z: Tensor, t: float) -> Tensor:
    """psi_t(z) for constraints z <= 0, element by element.

    -log(-z) / t for z <= -1/t^2, else its tangent there, t z - log(1/t^2) / t + 1/t. The larger t, the harder the
    constraint. Kervadec et al. 2022 (constrained deep networks), as Kervadec et al. 2020 (deep tightness prior) use it.

    Args:
        z: any shape; at most 0 where the constraint is met.
        t: > 0.
    """
    border = -1 / t**2
    met = -torch.log(-z.clamp(max=border)) / t
    broken = t * z - math.log(1 / t**2) / t + 1 / t
    return torch.where(z <= border, met, broken)
