"""The median step between neighbours, by hand."""

import numpy as np
import pytest

from voxseed.supervision.noise import median_step


@pytest.mark.parametrize(
    ("row", "region", "expected"),
    [
        ([0, 1, 3, 7], [1, 1, 1, 1], 2.0),  # steps 1, 2, 4
        ([0, 1, 3, 7], [1, 1, 0, 1], 1.0),  # only the first pair lies in the region
        ([5, 5, 5, 5], [1, 1, 1, 1], 0.0),
    ],
)
def test_steps_of_a_row(row, region, expected):
    image = np.array(row, dtype=np.float32).reshape(1, 4, 1, 1)
    assert median_step(image, np.array(region, dtype=bool).reshape(4, 1, 1)) == expected


def test_channels_count_together():
    image = np.zeros((2, 1, 1, 2), dtype=np.float32)
    image[:, 0, 0, 1] = (3, 4)
    assert median_step(image, np.ones((1, 1, 2), dtype=bool)) == 5.0


def test_without_neighbours_it_is_unknown():
    region = np.zeros((2, 2, 2), dtype=bool)
    region[0, 0, 0] = region[1, 1, 1] = True
    assert np.isnan(median_step(np.zeros((1, 2, 2, 2), dtype=np.float32), region))
