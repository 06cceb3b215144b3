"""Reading the channels of a case from their files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voxseed.data.grids import require_same_grid
from voxseed.data.volumes import Image, Volume, read_volume, require_finite


def read_image(paths: Sequence[Path]) -> Image:
    """Read all channels of a case.

    Args:
        paths: one file per channel.

    Raises:
        InputError: if a file cannot be read, holds NaN or infinite voxels, or lies on another grid than the first.
    """
    return stacked([read_volume(path) for path in paths], paths)


def stacked(channels: Sequence[Volume], paths: Sequence[Path]) -> Image:
    """The channels of a case as one image.

    Args:
        channels: one volume each.
        paths: where they were read from, for messages.

    Raises:
        InputError: if a channel holds NaN or infinite voxels, or lies on another grid than the first.
    """
    for path, channel in zip(paths, channels, strict=True):
        require_finite(channel, path)
        require_same_grid(channel, path, channels[0], paths[0])
    return Image(np.stack([channel.array for channel in channels], dtype=np.float32), channels[0].affine)
