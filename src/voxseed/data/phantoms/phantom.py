"""What every kind of phantom offers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from voxseed.types import FloatArray, LabelArray


@dataclass(frozen=True)
class Phantom:
    """A kind of phantom.

    Attributes:
        channel_names: one per channel.
        label_names: the foreground classes, in the order of their values 1, 2, …
        affine: (4, 4), to RAS+ mm.
        draw: makes a case: image (M, I, J, K) float32 and label (I, J, K) uint8.
    """

    channel_names: tuple[str, ...]
    label_names: tuple[str, ...]
    affine: FloatArray
    draw: Callable[[np.random.Generator], tuple[FloatArray, LabelArray]]
