"""2.5D U-Net: the two finest levels work within slices, the deeper ones in 3D."""

from typing import Final, Self

from voxseed.networks.base import register_network
from voxseed.networks.planning import plan_levels
from voxseed.networks.unet3d import UNetArguments
from voxseed.types import Shape3, Spacing

_FLAT_LEVELS: Final = 2


@register_network("unet2.5d")
class UNet25D(UNetArguments):
    """After Wang et al. 2019 (2.5D network for vestibular schwannoma), the primary network of PA-Seg's thick slices.

    The slices are those across the axis of largest spacing; of equal spacings, the axis with fewest voxels.
    """

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        through = max(range(3), key=lambda axis: (spacing_mm[axis], -patch_shape[axis]))
        plan = plan_levels(_flattened(spacing_mm, through), patch_shape)
        kernels = tuple(
            _with_axis((3, 3, 3), through, 1 if level < _FLAT_LEVELS else 3) for level in range(len(plan.kernels))
        )
        return cls(width=width, strides=plan.strides, kernels=kernels)


def _flattened(spacing_mm: Spacing, through: int) -> Spacing:
    """The spacing with the through-plane axis made so coarse that two poolings go by before its first."""
    in_plane = min(s for axis, s in enumerate(spacing_mm) if axis != through)
    coarse = max(spacing_mm[through], in_plane * 2.0 ** (_FLAT_LEVELS + 1))
    first, second, third = (coarse if axis == through else s for axis, s in enumerate(spacing_mm))
    return first, second, third


def _with_axis(shape: Shape3, axis: int, value: int) -> Shape3:
    first, second, third = (value if position == axis else n for position, n in enumerate(shape))
    return first, second, third
