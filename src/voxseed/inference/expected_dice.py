"""How good a prediction is likely to be, from its own probabilities, without a dense label."""

from collections.abc import Sequence

import numpy as np

from voxseed.types import BoolArray, FloatArray


def expected_dice(probabilities: FloatArray, valid: BoolArray, may_be_absent: Sequence[bool]) -> tuple[float, ...]:
    """Soft Dice of each foreground class between the voxels that it wins and its sharpened probabilities.

    2 sum_{v won} q_v / (number won + sum_v q_v) with q = p^2 / sum_c p_c^2: the expected overlap over the expected
    sizes, were every voxel of the class with probability q. Without the sharpening (a softmax of temperature 1/2), the
    small probabilities of a large background sum up to an object. It ranks predictions; it is no measurement.

    A class that wins nowhere has 0, because its object was missed; if the class may be absent, it has one minus its
    largest q anywhere.

    Args:
        probabilities: (C, I, J, K), background first.
        valid: (I, J, K), False where the label map is background whatever the network says.
        may_be_absent: of each foreground class, whether a case without it is known.

    Returns:
        C - 1 numbers in [0, 1].
    """
    class_count = len(probabilities)
    won, counts, sums, largest = np.zeros((4, class_count))
    for row, is_valid in enumerate(valid):  # row by row, so that it takes no second volume
        values = probabilities[:, row].reshape(class_count, -1)
        if not is_valid.all():
            values = values.compress(is_valid.ravel(), axis=1)
        sharp = _sharpened(values)
        winners = sharp.argmax(axis=0)
        won += np.bincount(winners, weights=sharp.max(axis=0), minlength=class_count)
        counts += np.bincount(winners, minlength=class_count)
        sums += sharp.sum(axis=1, dtype=np.float64)
        largest = np.maximum(largest, sharp.max(axis=1, initial=0.0))
    when_empty = (1.0 - largest[1:]) * np.asarray(may_be_absent)
    overlap, sizes = 2 * won[1:], counts[1:] + sums[1:]
    return tuple(np.divide(overlap, sizes, out=when_empty, where=counts[1:] > 0).tolist())


def _sharpened(probabilities: FloatArray) -> FloatArray:
    """Squares that sum to 1 over the classes again: (C, N)."""
    squares = np.square(probabilities, dtype=np.float32)
    return squares / squares.sum(axis=0)
