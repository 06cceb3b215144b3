"""The head in slices four times as far apart as their pixels, oblique, its first axis running to the left."""

import numpy as np

from voxseed.data.phantoms import head
from voxseed.data.phantoms.fields import Frame
from voxseed.data.phantoms.phantom import Phantom
from voxseed.types import FloatArray, LabelArray

FRAME = Frame(shape=(58, 68, 12), spacing_mm=(2.5, 2.5, 10.0))
TILT_DEGREES = 12.0


def draw(rng: np.random.Generator) -> tuple[FloatArray, LabelArray]:
    """A case: image (1, I, J, K) float32, label (I, J, K) uint8 with the lesion as 1."""
    image, label = head.draw(rng, FRAME)
    return image[:, ::-1].copy(), label[::-1].copy()


def oblique_affine() -> FloatArray:
    """(4, 4): slices tilted about the left-right axis, the first axis flipped, the middle of the grid at 0."""
    angle = np.deg2rad(TILT_DEGREES)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return tilt @ np.diag([-1.0, 1.0, 1.0, 1.0]) @ FRAME.affine


PHANTOM = Phantom(("FLAIR",), ("lesion",), oblique_affine(), draw)
