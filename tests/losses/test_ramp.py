import math

import pytest

from voxseed.losses.ramp import gaussian_ramp


@pytest.mark.parametrize(
    ("fraction", "length", "expected"),
    [
        (0.0, 0.1, math.exp(-5)),
        (0.05, 0.1, math.exp(-1.25)),
        (0.1, 0.1, 1.0),
        (0.7, 0.1, 1.0),
        (0.5, 1.0, math.exp(-1.25)),
        (0.0, 0.0, 1.0),
    ],
)
def test_ramp_grows_from_exp_minus_five_to_one(fraction, length, expected):
    assert gaussian_ramp(fraction, length) == pytest.approx(expected)
