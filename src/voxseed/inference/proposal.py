"""Which case to annotate next."""

import numpy as np
from scipy.spatial.distance import cdist

from voxseed.types import BoolArray, FloatArray


def proposed_order(lost: FloatArray, descriptors: FloatArray, is_annotated: BoolArray, count: int) -> list[int]:
    """Cases to annotate, each the one that stands best for what is predicted badly so far.

    Every unannotated case j waits for an annotated one that is like it, with the weight of the Dice that it is expected
    to lose. Chosen is, one after the other, the case i with the largest gain

        sum_j lost_j max(0, nearest_j - d_ij),    nearest_j: distance of j to the annotated and chosen cases.

    So a case that is predicted badly and like no other comes after one that is like many; and none that is like one
    annotated already. It is greedy facility location, as the second step of suggestive annotation (Yang et al. 2017),
    weighted. Of equal gains the case that loses more is chosen.

    Args:
        lost: (N,), 1 minus the expected Dice.
        descriptors: (N, D), see `image_descriptor`.
        is_annotated: (N,).
        count: how many to propose.

    Returns:
        Indices of at most `count` cases that are not annotated.
    """
    distances = cdist(descriptors, descriptors)
    nearest = distances[:, is_annotated].min(axis=1, initial=distances.max(initial=0.0))
    is_open = ~is_annotated
    chosen: list[int] = []
    while len(chosen) < count and is_open.any():
        gains = np.maximum(nearest - distances, 0.0) @ (lost * is_open)
        candidates = np.flatnonzero(is_open)
        best = int(candidates[np.lexsort((-lost[candidates], -gains[candidates]))[0]])
        chosen.append(best)
        is_open[best] = False
        nearest = np.minimum(nearest, distances[best])
    return chosen
