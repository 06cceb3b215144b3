"""The coarse grid of losses that cost much per voxel."""

import torch.nn.functional as F
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.shapes import at_least_float32, require_channels, require_same_space
from voxseed.types import Shape3


def to_coarse_grid(logits: Tensor, image: Tensor, valid: Tensor, factors: Shape3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, image and valid mask on a grid that is coarser by whole factors per axis.

    The papers' CRF works at half resolution, on probabilities of trilinearly resampled logits.

    Args:
        logits: (B, C, I, J, K).
        image: (B, M, I, J, K).
        valid: (B, 1, I, J, K), bool.
        factors: voxels per coarse voxel along (I, J, K); (1, 1, 1) changes nothing.

    Returns:
        The three at (I / f, J / f, K / f): logits interpolated trilinearly at the coarse voxels' centres, the image
        as the mean of each block, valid where the whole block is.

    Raises:
        ShapeError: if I, J, K are not multiples of `factors`.
    """
    require_same_space(logits=logits, image=image, valid=valid)
    require_channels(1, valid=valid)
    shape = logits.shape[2:]
    if any(n % factor for n, factor in zip(shape, factors, strict=True)):
        raise ShapeError(f"Coarse grid: expected I, J, K to be multiples of {factors}, found {tuple(shape)}.")
    if factors == (1, 1, 1):
        return logits, image, valid
    coarse = [n // factor for n, factor in zip(shape, factors, strict=True)]
    return (
        F.interpolate(at_least_float32(logits), size=coarse, mode="trilinear", align_corners=False),
        F.avg_pool3d(at_least_float32(image), factors),
        F.max_pool3d((~valid).float(), factors) == 0,
    )
