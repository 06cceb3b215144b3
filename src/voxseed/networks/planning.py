"""How deep a network goes and along which axes it shrinks, from spacing and patch shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from voxseed.errors import InputError
from voxseed.types import Shape3, Spacing

MAX_LEVELS: Final = 5
"""16 channels double to 256, as in the papers."""
MIN_LEVELS: Final = 3
MIN_BOTTLENECK: Final = 4
"""Voxels per axis at the bottleneck below which an axis is not pooled further."""
_MAX_ANISOTROPY: Final = 2.0


@dataclass(frozen=True)
class Plan:
    """Levels of an encoder, finest first.

    Attributes:
        strides: one per level below the first.
        kernels: one per level; 1 along an axis that is too coarse to be convolved there, otherwise 3.
    """

    strides: tuple[Shape3, ...]
    kernels: tuple[Shape3, ...]


def plan_levels(spacing_mm: Spacing, patch_shape: Shape3) -> Plan:
    """Pool as nnU-Net does (Isensee et al. 2021): coarse axes wait until the others have caught up.

    An axis is pooled while its spacing is at most twice the finest among the axes that still can be pooled, and
    while it keeps MIN_BOTTLENECK voxels; it is convolved as soon as its spacing is at most twice the finest.

    Raises:
        InputError: if the patch is too small for MIN_LEVELS levels.
    """
    spacing, shape = list(spacing_mm), list(patch_shape)
    kernels = [_kernel(spacing)]
    strides: list[Shape3] = []
    while len(kernels) < MAX_LEVELS:
        roomy = [axis for axis in range(3) if shape[axis] >= 2 * MIN_BOTTLENECK]
        finest = min((spacing[axis] for axis in roomy), default=0.0)
        pooled = [axis for axis in roomy if spacing[axis] <= _MAX_ANISOTROPY * finest]
        if not pooled:
            break
        stride = _shape3(2 if axis in pooled else 1 for axis in range(3))
        spacing = [s * factor for s, factor in zip(spacing, stride, strict=True)]
        shape = [-(-n // factor) for n, factor in zip(shape, stride, strict=True)]
        strides.append(stride)
        # Once an axis is convolved it stays so, even where a short neighbour is left behind.
        kernels.append(_shape3(map(max, _kernel(spacing), kernels[-1])))
    if len(kernels) < MIN_LEVELS:
        raise InputError(
            f"Patch shape {patch_shape} is too small for a network of {MIN_LEVELS} levels: "
            f"expected at least {MIN_BOTTLENECK * 2 ** (MIN_LEVELS - 1)} voxels along an axis."
        )
    return Plan(tuple(strides), tuple(kernels))


def total_stride(strides: Sequence[Shape3]) -> Shape3:
    """Product of strides per axis."""
    return _shape3(prod(stride[axis] for stride in strides) for axis in range(3))


def _kernel(spacing: Sequence[float]) -> Shape3:
    return _shape3(3 if s <= _MAX_ANISOTROPY * min(spacing) else 1 for s in spacing)


def _shape3(values: Iterable[int]) -> Shape3:
    first, second, third = values
    return first, second, third
