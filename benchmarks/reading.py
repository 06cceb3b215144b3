"""Reading patches of 128³ from a warm cache, on one core."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from voxseed.data.cache import PatchCache

SIZE = 256
PATCH = (128, 128, 128)
PATCHES = 60


def run() -> list[dict[str, Any]]:
    """Patches per second of a float32 image alone, and of image, target and valid region together."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(SIZE,) * 3).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, 8)
    arrays = {
        "image": (noise + 50 * smooth)[None],
        "target": (smooth > 0).astype(np.uint8),
        "valid": np.ones((SIZE,) * 3, np.uint8),
    }
    with tempfile.TemporaryDirectory() as folder:
        case = PatchCache(Path(folder)).case("0" * 8, lambda: (arrays, {}))
        case.read("image")
        rows = []
        for names in (("image",), tuple(arrays)):
            starts = [(int(i), int(j), int(k)) for i, j, k in rng.integers(0, SIZE - PATCH[0], (PATCHES, 3))]
            begin = time.perf_counter()
            for start in starts:
                for name in names:
                    case.read_patch(name, start, PATCH, fill=0)
            rows.append(
                {"name": " + ".join(names), "patches_per_second": PATCHES / (time.perf_counter() - begin)},
            )
    return rows
