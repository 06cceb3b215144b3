import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.shapes import mean_over_samples, require_same_space


def test_shapes_are_named_in_the_message():
    with pytest.raises(ShapeError, match=r"found image \(1, 1, 2, 2, 2\), valid \(1, 1, 2, 2, 3\)\."):
        require_same_space(image=torch.zeros(1, 1, 2, 2, 2), valid=torch.zeros(1, 1, 2, 2, 3))
    with pytest.raises(ShapeError, match=r"image \(1, 2, 2, 2\)"):
        require_same_space(image=torch.zeros(1, 2, 2, 2))


@pytest.mark.parametrize(("counted", "expected"), [([True, True], 2.0), ([False, True], 3.0), ([False, False], 0.0)])
def test_mean_over_counted_samples(counted, expected):
    assert mean_over_samples(torch.tensor([1.0, 3.0]), torch.tensor(counted)).item() == expected
