"""Checks and reductions that losses share. Tensors are (B, C, I, J, K)."""

from typing import Final

import torch
from torch import Tensor

from voxseed.errors import ShapeError

SPACE: Final = (2, 3, 4)
"""Dimensions of I, J, K."""


def require_same_space(**tensors: Tensor) -> None:
    """Check that all tensors are (B, channels, I, J, K) and share B, I, J, K.

    Raises:
        ShapeError: names every tensor and its shape.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    spaces = {(shape[0], *shape[2:]) for shape in shapes.values()}
    if len(spaces) > 1 or any(len(shape) != 5 for shape in shapes.values()):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"Expected tensors (B, channels, I, J, K) that share B, I, J, K; found {found}.")


def require_channels(count: int, **tensors: Tensor) -> None:
    """Check that each tensor has `count` channels.

    Raises:
        ShapeError: names the tensor that has not.
    """
    for name, tensor in tensors.items():
        if tensor.shape[1] != count:
            raise ShapeError(f"{name}: expected {count} channel(s), found shape {tuple(tensor.shape)}.")


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision as float32, because sums over a volume overflow or stall in it; other types as they are."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def voxel_counts(mask: Tensor) -> Tensor:
    """True voxels of each sample and channel: (B, C), int64. A plain sum would first copy the mask as int64."""
    return torch.stack([channel.count_nonzero() for channel in mask.flatten(0, 1)]).view(mask.shape[:2])


def mean_over_samples(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of `values` (B,) over the samples where `counted` (B,) is True; 0 without gradient if there is none."""
    return torch.where(counted, values, 0).sum() / counted.sum().clamp(min=1)
