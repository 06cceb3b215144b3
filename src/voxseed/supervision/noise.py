"""How much intensity differs between neighbours that are the same tissue."""

import numpy as np

from voxseed.types import BoolArray, FloatArray


def median_step(image: FloatArray, region: BoolArray) -> float:
    """Median intensity difference of neighbours that both lie in a region; NaN where it has no two neighbours.

    The scale of noise and texture: a pair of voxels that differs by much more is probably not the same tissue.

    Args:
        image: (M, I, J, K); the difference is the Euclidean norm over channels.
        region: (I, J, K).
    """
    steps = []
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        both = region[tuple(ahead)] & region[tuple(behind)]
        difference = image[(slice(None), *ahead)][:, both] - image[(slice(None), *behind)][:, both]
        steps.append(np.linalg.norm(difference, axis=0))
    together = np.concatenate(steps)
    return float(np.median(together)) if together.size else float("nan")
