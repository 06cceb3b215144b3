"""2D U-Net: reads all slices across one axis, each by itself, and stacks what it says back into a volume."""

from typing import Final, Literal, Self

import torch
from monai.networks.nets import DynUNet
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from voxseed.errors import ShapeError
from voxseed.networks.base import SlicewiseArchitecture, register_network
from voxseed.networks.planning import MIN_LEVELS, plan_levels
from voxseed.networks.unet3d import without_second_names
from voxseed.types import Shape3, Spacing

Shape2 = tuple[int, int]

_KERNEL: Final = (3, 3)
_CHUNK_PIXELS: Final = 2**18
"""A patch of fewer is one chunk, and nothing is computed twice; 8 axial slices of the published crop are a chunk."""


@register_network("unet2d")
class UNet2D(SlicewiseArchitecture):
    """Ronneberger et al. 2015, per slice, with instance normalisation, leaky ReLU and learned downsampling.

    Slices are read in chunks; while training, where there are several, the features of a chunk are computed again for
    its gradient instead of being kept, so that memory does not grow with the number of slices. No slice knows of
    another, so the result does not depend on the chunk.
    """

    width: int = Field(ge=1, description="Channels of the first level; they double per level.")
    strides: tuple[Shape2, ...] = Field(
        min_length=MIN_LEVELS - 1, description="Downsampling into each level below the first, along both other axes."
    )
    chunk: int = Field(default=16, ge=1, description="Slices that are read at a time.")

    @classmethod
    def planned(cls, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        """Slices are those across the axis of largest spacing; of equal spacings, the axis with fewest voxels."""
        through = max(range(3), key=lambda axis: (spacing_mm[axis], -patch_shape[axis]))
        return cls.planned_across(through, spacing_mm, patch_shape, width)

    @classmethod
    def planned_across(cls, axis: int, spacing_mm: Spacing, patch_shape: Shape3, width: int) -> Self:
        first, second, third = (1 if each == axis else size for each, size in enumerate(patch_shape))
        strides = plan_levels(spacing_mm, (first, second, third)).strides
        rows, columns = _in_plane(patch_shape, axis)
        return cls(
            axis=axis,
            width=width,
            strides=tuple(_in_plane(stride, axis) for stride in strides),
            chunk=max(1, _CHUNK_PIXELS // (rows * columns)),
        )

    def divisor(self) -> Shape3:
        across, down = 1, 1
        for stride in self.strides:
            across, down = across * stride[0], down * stride[1]
        result = [across, down]
        result.insert(self.axis, 1)
        return result[0], result[1], result[2]

    def build(self, in_channels: int, class_count: int) -> nn.Module:
        body = DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=class_count,
            kernel_size=[_KERNEL] * (len(self.strides) + 1),
            strides=((1, 1), *self.strides),
            upsample_kernel_size=self.strides,
            filters=[self.width * 2**level for level in range(len(self.strides) + 1)],
            res_block=False,
        )
        return Slicewise(without_second_names(body), self.axis, self.chunk, _in_plane(self.divisor(), self.axis))


class Slicewise(nn.Module):
    """A 2D network on every slice of a volume.

    Args:
        body: (N, M, H, W) to logits (N, C, H, W), each of the N by itself.
        axis: 0, 1 or 2, across the slices.
        chunk: slices at a time.
        stride: of the deepest level; one pixel alone cannot be normalised there.
    """

    def __init__(self, body: nn.Module, axis: Literal[0, 1, 2], chunk: int, stride: Shape2) -> None:
        super().__init__()
        self.body = body
        self._dimension = axis + 2
        self._chunk = chunk
        self._stride = stride

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, I, J, K) of an image (B, M, I, J, K).

        Raises:
            ShapeError: if a slice has one pixel at the deepest level.
        """
        slices = image.movedim(self._dimension, 1)
        if tuple(slices.shape[3:]) == self._stride:
            raise ShapeError(f"unet2d: expected slices larger than {self._stride}, found shape {tuple(image.shape)}.")
        chunks = slices.flatten(0, 1).split(self._chunk)
        logits = torch.cat([self._logits(chunk, len(chunks) > 1) for chunk in chunks])
        return logits.unflatten(0, slices.shape[:2]).movedim(1, self._dimension)

    def _logits(self, slices: Tensor, is_part: bool) -> Tensor:
        if not (is_part and torch.is_grad_enabled()):
            logits: Tensor = self.body(slices)
        else:
            logits = checkpoint(self.body, slices, use_reentrant=False, preserve_rng_state=False)
        return logits


def _in_plane(values: Shape3, axis: int) -> Shape2:
    first, second = (value for each, value in enumerate(values) if each != axis)
    return first, second
