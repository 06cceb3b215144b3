"""The demo's phantom: an MR head with one irregular lesion among look-alikes of its own brightness.

Its parameters were chosen by looking at it and by two measures that involve no training, and before any method was run
on it: the best intensity threshold inside the box of the seven points, and the geodesic expansion from the inside point
at its best ε, both stay below 0.75 Dice (tests/data/test_phantoms.py), while a Gaussian filter of one voxel shows the
lesion to the eye. What tells it from its look-alikes is thickness and a fine mottle, not brightness.
"""

import numpy as np

from voxseed.data.phantoms.anatomy import Head, make_head
from voxseed.data.phantoms.fields import Frame, noise_field
from voxseed.data.phantoms.lesions import grow_lesion, look_alikes, random_volume_ml
from voxseed.data.phantoms.phantom import Phantom
from voxseed.data.phantoms.scanner import scan_mr
from voxseed.types import BoolArray, FloatArray, LabelArray

FRAME = Frame(shape=(48, 56, 40), spacing_mm=(3.0, 3.0, 3.0))
SIGNAL = (0.0, 0.72, 0.08, 0.14, 0.58, 0.50)
"""Of each `Tissue`, in the order of their values; everything below is in the same unit."""
WHITE = 0.50
CONTRAST = (0.28, 0.40)
"""Of lesion and look-alikes over white matter."""
MOTTLE, MOTTLE_MM = 0.08, 3.0
"""Standard deviation and grain of the lesion's own texture."""
UNEVENNESS, UNEVENNESS_MM = 0.03, 5.0
"""The same for all of the brain."""
NOISE = 0.115
BIAS = 0.10
UNITS = (200.0, 1500.0)
"""Scanner units per unit of signal: arbitrary, and different in each case."""


def draw(rng: np.random.Generator, frame: Frame = FRAME) -> tuple[FloatArray, LabelArray]:
    """A case: image (1, I, J, K) float32, label (I, J, K) uint8 with the lesion as 1."""
    head = make_head(frame, rng)
    lesion = grow_lesion(head, rng, random_volume_ml(rng))
    image = weighted_image(
        head, rng, SIGNAL, {WHITE + rng.uniform(*CONTRAST): lesion | look_alikes(head, rng, lesion)}, lesion
    )
    return image[None], lesion.astype(np.uint8)


def weighted_image(
    head: Head, rng: np.random.Generator, signal: tuple[float, ...], painted: dict[float, BoolArray], mottled: BoolArray
) -> FloatArray:
    """One MR image of a head.

    Args:
        signal: of each tissue.
        painted: signal → where it replaces the tissue's, (I, J, K).
        mottled: (I, J, K), where the texture of lesions is added.

    Returns:
        (I, J, K) float32.
    """
    clean = np.array(signal)[head.tissue]
    for value, mask in painted.items():
        clean[mask] = value
    clean += MOTTLE * noise_field(head.frame, rng, MOTTLE_MM) * mottled
    clean += UNEVENNESS * noise_field(head.frame, rng, UNEVENNESS_MM) * head.brain
    return scan_mr(head.frame, rng, clean, BIAS, NOISE, rng.uniform(*UNITS))


PHANTOM = Phantom(("FLAIR",), ("lesion",), FRAME.affine, draw)
