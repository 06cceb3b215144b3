"""Which channel of an image a picture shows: the one in which the object can be seen best."""

import numpy as np
from scipy import ndimage

from voxseed.data.volumes import Image, Volume
from voxseed.errors import ShapeError
from voxseed.types import BoolArray

_AROUND_MM = 10.0


def shown_channel(image: Image, label: Volume) -> int:
    """Index of the channel with the largest contrast between an object and what lies around it.

    Contrast is the difference of the mean intensities over the standard deviation of all voxels looked at; around are
    the voxels within 10 mm. Of equal channels the first is taken, and where there is no object.

    Args:
        image: (M, I, J, K).
        label: class indices on the image's grid.

    Raises:
        ShapeError: if their grids have different shapes.
    """
    if image.array.shape[1:] != label.shape:
        raise ShapeError(f"Image {image.array.shape[1:]} and label {label.shape} differ in shape.")
    inside = label.array > 0
    if len(image.array) == 1 or not inside.any():
        return 0
    around = ndimage.distance_transform_edt(~inside, sampling=label.spacing_mm) <= _AROUND_MM
    around &= ~inside
    return int(np.argmax([_contrast(channel, inside, around) for channel in image.array]))


def _contrast(channel: np.ndarray, inside: BoolArray, around: BoolArray) -> float:
    values = channel.astype(np.float64)
    spread = values[inside | around].std()
    if spread == 0 or not around.any():
        return 0.0
    return float(abs(values[inside].mean() - values[around].mean()) / spread)
