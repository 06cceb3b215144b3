import numpy as np
import pytest

from voxseed.inference.descriptor import image_descriptor


def test_blocks_of_eight_voxels_are_averaged_channel_by_channel():
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype(np.float32)
    expected = [
        image[channel, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2].mean()
        for channel in range(2)
        for i in range(4)
        for j in range(4)
        for k in range(4)
    ]
    assert image_descriptor(image) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (3, 5, 40, 9)])
def test_any_shape_has_as_many_numbers(shape):
    assert image_descriptor(np.full(shape, 2.5, np.float32)) == (2.5,) * 64 * shape[0]
