"""A CT-like head in Hounsfield units: a haemorrhage among calcifications and vessels."""

import numpy as np

from voxseed.data.phantoms.anatomy import make_head
from voxseed.data.phantoms.fields import noise_field
from voxseed.data.phantoms.head import FRAME
from voxseed.data.phantoms.lesions import grow_lesion, look_alikes, random_volume_ml
from voxseed.data.phantoms.phantom import Phantom
from voxseed.data.phantoms.scanner import AIR_HU, scan_ct
from voxseed.types import FloatArray, LabelArray

TISSUE_HU = (AIR_HU, -60.0, 900.0, 8.0, 38.0, 30.0)
"""Of each `Tissue`, in the order of their values."""
BLOOD_HU = (58.0, 72.0)
NOISE_HU = 8.0
UNEVENNESS_HU = 3.0


def draw(rng: np.random.Generator) -> tuple[FloatArray, LabelArray]:
    """A case: image (1, I, J, K) float32 in Hounsfield units, label (I, J, K) uint8 with the haemorrhage as 1."""
    head = make_head(FRAME, rng)
    blood = grow_lesion(head, rng, random_volume_ml(rng))
    hounsfield = np.array(TISSUE_HU)[head.tissue]
    hounsfield[blood | look_alikes(head, rng, blood)] = rng.uniform(*BLOOD_HU)
    hounsfield += UNEVENNESS_HU * noise_field(FRAME, rng, sigma_mm=5) * head.brain
    return scan_ct(rng, hounsfield, NOISE_HU)[None], blood.astype(np.uint8)


PHANTOM = Phantom(("CT",), ("haemorrhage",), FRAME.affine, draw)
