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
        # 0.8² / (0.8² + 0.2²) = 16 / 17, 0.6² / (0.6² + 0.4²) = 9 / 13
        ([0.2, 0.4, 1.0, 1.0], [0.8, 0.6, 0.0, 0.0], 2 * (16 / 17 + 9 / 13) / (2 + 16 / 17 + 9 / 13)),
        # What was not won counts too: 0.25² / (0.25² + 0.75²) = 1 / 10.
        ([0.2, 0.4, 0.75, 1.0], [0.8, 0.6, 0.25, 0.0], 2 * (16 / 17 + 9 / 13) / (2.1 + 16 / 17 + 9 / 13)),
        ([0.5, 0.0, 1.0, 1.0], [0.5, 1.0, 0.0, 0.0], 2 * 1.0 / (1 + 1.5)),  # an equal share is background
        ([0.9, 0.6, 1.0, 1.0], [0.1, 0.4, 0.0, 0.0], 0.0),  # empty: missed
    ],
)
def test_four_voxels_by_hand(background, first, expected):
    assert expected_dice(maps(background, first), EVERYWHERE, (False,)) == (pytest.approx(expected),)


def test_classes_share_voxels_and_an_absent_one_may_be_right():
    """Squares of the voxels in hundredths: 1, 64, 1; 1, 36, 9; 49, 9, 0; 64, 0, 4."""
    probabilities = maps([0.1, 0.1, 0.7, 0.8], [0.8, 0.6, 0.3, 0.0], [0.1, 0.3, 0.0, 0.2])
    won = 64 / 66 + 36 / 46
    first = pytest.approx(2 * won / (2 + won + 9 / 58))
    assert expected_dice(probabilities, EVERYWHERE, (True, True)) == (first, pytest.approx(1 - 9 / 46))
    assert expected_dice(probabilities, EVERYWHERE, (True, False)) == (first, 0.0)


def test_what_lies_outside_the_valid_region_is_left_out():
    valid = np.array([True, False, True, True]).reshape(2, 2, 1)
    probabilities = maps([0.2, 0.4, 0.75, 1.0], [0.8, 0.6, 0.25, 0.0])
    assert expected_dice(probabilities, valid, (False,)) == (pytest.approx(2 * 16 / 17 / (1.1 + 16 / 17)),)
    assert expected_dice(probabilities, np.zeros_like(valid), (False,)) == (0.0,)
    assert expected_dice(probabilities, np.zeros_like(valid), (True,)) == (1.0,)


def test_a_large_uncertain_background_is_no_object():
    """A ball that is certain in 10⁵ voxels of 0.01: plain sums would make it 1,000 voxels larger."""
    foreground = np.full((1, 100, 1000), 0.01, np.float32)
    foreground[0, 0, :500] = 1.0
    probabilities = np.stack([1 - foreground, foreground])
    (found,) = expected_dice(probabilities, np.ones((1, 100, 1000), bool), (False,))
    assert found == pytest.approx(1000 / (1000 + 99_500 * 1e-4 / (1e-4 + 0.99**2)), rel=1e-4)


def test_half_precision_is_enough():
    probabilities = maps([0.2, 0.4, 0.999, 1.0], [0.8, 0.6, 0.001, 0.0])
    (single,), (half,) = (
        expected_dice(each, EVERYWHERE, (False,)) for each in (probabilities, probabilities.astype(np.float16))
    )
    assert half == pytest.approx(single, abs=1e-3)


@given(arrays(np.float32, (3, 3, 2, 4), elements=st.floats(0.03125, 1, width=32)), st.integers(0, 2**24 - 1))
def test_as_over_the_whole_volume_at_once(weights, bits):
    probabilities = weights / weights.sum(axis=0)
    valid = np.array([bits >> n & 1 for n in range(24)], dtype=bool).reshape(3, 2, 4)
    sharp = probabilities**2 / (probabilities**2).sum(axis=0)
    found = expected_dice(probabilities, valid, (False, False))
    for index, value in enumerate(found, start=1):
        won = (sharp.argmax(axis=0) == index) & valid
        sizes = won.sum() + sharp[index][valid].sum(dtype=np.float64)
        assert value == pytest.approx(2 * sharp[index][won].sum() / sizes if won.any() else 0.0, abs=1e-6)
        assert 0 <= value <= 1 + 1e-9
