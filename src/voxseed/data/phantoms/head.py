"""The demo's phantom: an MR head with one irregular lesion among look-alikes of its own brightness."""

import numpy as np

from voxseed.data.phantoms.anatomy import Tissue, make_head
from voxseed.data.phantoms.fields import Frame, noise_field
from voxseed.data.phantoms.lesions import grow_lesion, look_alikes
from voxseed.data.phantoms.scanner import scan_mr
from voxseed.types import FloatArray, LabelArray

FRAME = Frame(shape=(48, 56, 40), spacing_mm=(3.0, 3.0, 3.0))
LESION_ML = (13.0, 50.0)
CONTRAST = (0.28, 0.40)
"""Of the lesion over white matter, where white matter has 0.50."""
NOISE = 0.105
BIAS = 0.10
UNEVENNESS = 0.03
MOTTLE = 0.08
MOTTLE_MM = 3.0
SIGNAL = {
    Tissue.AIR: 0.0,
    Tissue.SCALP: 0.72,
    Tissue.SKULL: 0.08,
    Tissue.FLUID: 0.14,
    Tissue.GREY: 0.58,
    Tissue.WHITE: 0.50,
}


def make(rng: np.random.Generator, frame: Frame = FRAME) -> tuple[FloatArray, LabelArray]:
    head = make_head(frame, rng)
    lesion = grow_lesion(head, rng, volume_ml=float(np.exp(rng.uniform(*np.log(LESION_ML)))))
    bright = SIGNAL[Tissue.WHITE] + rng.uniform(*CONTRAST)
    signal = np.array([SIGNAL[tissue] for tissue in Tissue])[head.tissue]
    signal[lesion | look_alikes(head, rng, lesion)] = bright
    signal += MOTTLE * noise_field(frame, rng, sigma_mm=MOTTLE_MM) * lesion
    signal += UNEVENNESS * noise_field(frame, rng, sigma_mm=5) * head.brain
    image = scan_mr(frame, rng, signal, BIAS, NOISE, units=rng.uniform(200, 1500))
    return image[None], lesion.astype(np.uint8)
