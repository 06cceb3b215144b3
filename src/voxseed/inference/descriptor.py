"""A few numbers that say what a scan looks like, to compare scans by."""

import torch
from torch.nn import functional

from voxseed.types import FloatArray

BLOCKS = 4
"""Along each axis."""
_DECIMALS = 4


def image_descriptor(image: FloatArray) -> tuple[float, ...]:
    """Mean intensity of 4 × 4 × 4 blocks of each channel.

    Scans of one kind, on grids with the same axes and cropped alike, are near each other if they look alike. A small
    image has blocks that overlap.

    Args:
        image: (M, I, J, K), normalised, on the working grid.

    Returns:
        64 M numbers, channel by channel; the square root of their mean squared difference is the distance of two scans.
    """
    blocks = functional.adaptive_avg_pool3d(torch.from_numpy(image)[None], BLOCKS)
    return tuple(round(value, _DECIMALS) for value in blocks.flatten().tolist())
