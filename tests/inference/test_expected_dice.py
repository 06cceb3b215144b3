import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxseed.inference.expected_dice import expected_dice

EVERYWHERE = np.ones((2, 2, 1), dtype=bool)


def maps(*classes: list[float]) -> np.ndarray:
    return np.array(classes, dtype=np.float32).reshape(len(classes), 2, 2, 1)


@pytest.mark.parametrize(
    ("background", "first", "expected"),
    [
        ([0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0], 1.0),
        ([0.2, 0.4, 1.0, 1.0], [0.8, 0.6, 0.0, 0.0], 2 * 1.4 / (2 + 1.4)),
        ([0.2, 0.4, 0.9, 0.7], [0.8, 0.6, 0.1, 0.3], 2 * 1.4 / (2 + 1.8)),  # what was not won counts too
        ([0.5, 0.0, 1.0, 1.0], [0.5, 1.0, 0.0, 0.0], 2 * 1.0 / (1 + 1.5)),  # an equal share is background
        ([0.9, 0.6, 1.0, 1.0], [0.1, 0.4, 0.0, 0.0], 0.0),  # empty: missed
    ],
)
def test_four_voxels_by_hand(background, first, expected):
    assert expected_dice(maps(background, first), EVERYWHERE, (False,)) == (pytest.approx(expected),)


def test_classes_share_voxels_and_an_absent_one_may_be_right():
    """First class: wins 0.8 and 0.6 of 2.0 in all. Second: wins nowhere, at most 0.3."""
    probabilities = maps([0.1, 0.1, 0.7, 0.7], [0.8, 0.6, 0.3, 0.3], [0.1, 0.3, 0.0, 0.0])
    first = pytest.approx(2 * 1.4 / (2 + 2.0))
    assert expected_dice(probabilities, EVERYWHERE, (True, True)) == (first, pytest.approx(0.7))
    assert expected_dice(probabilities, EVERYWHERE, (True, False)) == (first, 0.0)


def test_what_lies_outside_the_valid_region_is_left_out():
    valid = np.array([True, False, True, True]).reshape(2, 2, 1)
    probabilities = maps([0.2, 0.4, 0.9, 0.7], [0.8, 0.6, 0.1, 0.3])
    assert expected_dice(probabilities, valid, (False,)) == (pytest.approx(2 * 0.8 / (1 + 1.2)),)
    assert expected_dice(probabilities, np.zeros_like(valid), (False,)) == (0.0,)
    assert expected_dice(probabilities, np.zeros_like(valid), (True,)) == (1.0,)


@given(arrays(np.float32, (3, 3, 2, 4), elements=st.floats(0.03125, 1, width=32)), st.integers(0, 2**24 - 1))
def test_as_over_the_whole_volume_at_once(weights, bits):
    probabilities = weights / weights.sum(axis=0)
    valid = np.array([bits >> n & 1 for n in range(24)], dtype=bool).reshape(3, 2, 4)
    found = expected_dice(probabilities, valid, (False, False))
    for index, value in enumerate(found, start=1):
        won = (probabilities.argmax(axis=0) == index) & valid
        sizes = won.sum() + probabilities[index][valid].sum(dtype=np.float64)
        assert value == pytest.approx(2 * probabilities[index][won].sum() / sizes if won.any() else 0.0, abs=1e-6)
        assert 0 <= value <= 1 + 1e-9
