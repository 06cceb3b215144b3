"""A head with three classes that touch: two tumours, an oedema on one side of each, and the ventricles."""

import numpy as np

from voxseed.data.phantoms.anatomy import Head, make_head
from voxseed.data.phantoms.fields import noise_field
from voxseed.data.phantoms.head import FRAME, SIGNAL, weighted_image
from voxseed.data.phantoms.lesions import grow_lesion, look_alikes
from voxseed.data.phantoms.phantom import Phantom
from voxseed.types import BoolArray, FloatArray, LabelArray

TUMOUR, OEDEMA, VENTRICLE = 1, 2, 3
TUMOURS = 2
TUMOUR_ML = (8.0, 16.0)
TUMOUR_SIGNAL, OEDEMA_SIGNAL = 0.92, 0.74
APART_MM = 9.0
"""Between one tumour and the next."""
OEDEMA_MM = 8.0
"""Mean reach of an oedema beyond its tumour."""


def draw(rng: np.random.Generator) -> tuple[FloatArray, LabelArray]:
    """A case: image (1, I, J, K) float32, label (I, J, K) uint8, 1 tumour, 2 oedema, 3 ventricle."""
    head = make_head(FRAME, rng)
    tumours = np.zeros(FRAME.shape, dtype=bool)
    for _ in range(TUMOURS):
        keep_out = FRAME.distance_mm(tumours) < APART_MM if tumours.any() else None
        tumours |= grow_lesion(head, rng, rng.uniform(*TUMOUR_ML), keep_out)
    label = np.zeros(FRAME.shape, dtype=np.uint8)
    label[head.ventricles] = VENTRICLE
    label[_oedema(head, rng, tumours)] = OEDEMA
    label[tumours] = TUMOUR
    painted = {TUMOUR_SIGNAL: tumours | look_alikes(head, rng, label > 0), OEDEMA_SIGNAL: label == OEDEMA}
    return weighted_image(head, rng, SIGNAL, painted, tumours)[None], label


def _oedema(head: Head, rng: np.random.Generator, tumours: BoolArray) -> BoolArray:
    """Brain close to a tumour, farther on some sides than on others."""
    reach_mm = OEDEMA_MM * (0.5 + noise_field(head.frame, rng, sigma_mm=10))
    return (head.frame.distance_mm(tumours) < reach_mm) & head.brain & ~head.ventricles & ~tumours


PHANTOM = Phantom(("FLAIR",), ("tumour", "oedema", "ventricle"), FRAME.affine, draw)
