"""A head in two MR contrasts: look-alikes are bright in one or the other, the lesion in both."""

import numpy as np

from voxseed.data.phantoms.anatomy import make_head
from voxseed.data.phantoms.head import CONTRAST, FRAME, SIGNAL, WHITE, weighted_image
from voxseed.data.phantoms.lesions import grow_lesion, look_alikes, random_volume_ml
from voxseed.data.phantoms.phantom import Phantom
from voxseed.types import FloatArray, LabelArray

T1_SIGNAL = (0.0, 0.85, 0.06, 0.12, 0.42, 0.62)


def draw(rng: np.random.Generator) -> tuple[FloatArray, LabelArray]:
    """A case: image (2, I, J, K) float32, label (I, J, K) uint8 with the lesion as 1."""
    head = make_head(FRAME, rng)
    lesion = grow_lesion(head, rng, random_volume_ml(rng))
    channels = [
        weighted_image(
            head, rng, signal, {WHITE + rng.uniform(*CONTRAST): lesion | look_alikes(head, rng, lesion)}, lesion
        )
        for signal in (SIGNAL, T1_SIGNAL)
    ]
    return np.stack(channels), lesion.astype(np.uint8)


PHANTOM = Phantom(("FLAIR", "T1ce"), ("lesion",), FRAME.affine, draw)
