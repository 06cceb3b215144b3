import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.coarse_grid import to_coarse_grid


def test_half_resolution_in_plane_averages_blocks_and_needs_all_of_a_block():
    logits = torch.arange(8.0).view(1, 1, 2, 2, 2).requires_grad_()
    image = 10 * logits.detach()
    valid = torch.ones(1, 1, 2, 2, 2, dtype=torch.bool)
    valid[0, 0, 1, 1, 0] = False
    coarse_logits, coarse_image, coarse_valid = to_coarse_grid(logits, image, valid, (2, 2, 1))
    # (i, j, k) holds 4 i + 2 j + k: the mean over i and j is 3 + k.
    assert coarse_logits.flatten().tolist() == [3.0, 4.0]
    assert coarse_image.flatten().tolist() == [30.0, 40.0]
    assert coarse_valid.flatten().tolist() == [False, True]
    coarse_logits.sum().backward()
    assert (logits.grad == 0.25).all()


def test_factor_one_changes_nothing():
    tensors = torch.rand(2, 3, 4, 4, 4), torch.rand(2, 1, 4, 4, 4), torch.rand(2, 1, 4, 4, 4) > 0.5
    assert to_coarse_grid(*tensors, (1, 1, 1)) == tensors


def test_channels_classes_and_samples_are_kept():
    logits, image, valid = to_coarse_grid(
        torch.rand(2, 3, 6, 4, 8), torch.rand(2, 4, 6, 4, 8), torch.ones(2, 1, 6, 4, 8, dtype=torch.bool), (3, 1, 2)
    )
    assert (logits.shape, image.shape, valid.shape) == ((2, 3, 2, 4, 4), (2, 4, 2, 4, 4), (2, 1, 2, 4, 4))
    assert valid.all()


def test_a_shape_that_does_not_divide_is_refused():
    tensors = torch.rand(1, 2, 4, 4, 5), torch.rand(1, 1, 4, 4, 5), torch.ones(1, 1, 4, 4, 5, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"multiples of \(2, 2, 2\), found \(4, 4, 5\)"):
        to_coarse_grid(*tensors, (2, 2, 2))
