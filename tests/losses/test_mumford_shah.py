import pytest
import torch

from voxseed.losses.mumford_shah import MumfordShahLoss


def _row(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype).view(1, -1, 1, 1, len(values[0]))


@pytest.mark.parametrize(
    ("intensities", "foreground", "valid", "eta", "expected"),
    [
        ([1, 1, 5, 5], [1, 1, 0, 0], [1, 1, 1, 1], 0.0, 0.0),  # two homogeneous classes
        ([1, 3, 5, 5], [1, 1, 0, 0], [1, 1, 1, 1], 0.0, (1 + 1) / 4),  # mean 2, each 1 away
        ([1, 3, 5, 5], [1, 1, 0, 0], [1, 1, 1, 1], 0.5, (1 + 1 + 0.5 * 2) / 4),  # one border, two classes
        ([1, 3, 5, 9], [1, 1, 0, 0], [1, 1, 1, 0], 0.5, (1 + 1 + 0.5 * 2) / 3),  # the last voxel is invalid
        ([0, 4, 0, 4], [0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1], 0.0, 4.0),  # no class: the variance of all
    ],
)
def test_functional_of_a_row_of_four_voxels(intensities, foreground, valid, eta, expected):
    p = _row([foreground])
    mask = _row([valid], torch.bool)
    loss = MumfordShahLoss(eta)(torch.cat([1 - p, p], dim=1), _row([intensities]), mask)
    assert loss.item() == pytest.approx(expected)


def test_channels_are_summed_and_samples_averaged():
    p = torch.cat([_row([[1, 1, 0, 0]]), _row([[0, 0, 1, 1]])], dim=1).repeat(2, 1, 1, 1, 1)
    image = torch.cat([_row([[1, 3, 5, 5], [0, 0, 0, 4]]), _row([[1, 1, 1, 1], [0, 0, 0, 0]])])
    loss = MumfordShahLoss(0.0)(p, image, torch.ones(2, 1, 1, 1, 4, dtype=torch.bool))
    assert loss.item() == pytest.approx(((1 + 1 + 4 + 4) / 4 + 0) / 2)


def test_the_gradient_is_that_of_the_functional_with_moving_means():
    generator = torch.Generator().manual_seed(2)
    p = torch.rand(1, 2, 2, 2, 3, generator=generator, dtype=torch.float64)
    p = (p / p.sum(dim=1, keepdim=True)).requires_grad_()
    image = torch.randn(1, 1, 2, 2, 3, generator=generator, dtype=torch.float64)
    MumfordShahLoss(0.0)(p, image, torch.ones_like(image, dtype=torch.bool)).backward()
    free = p.detach().clone().requires_grad_()
    mean = (free * image).sum(dim=(2, 3, 4), keepdim=True) / free.sum(dim=(2, 3, 4), keepdim=True)
    ((image - mean).square() * free).sum().div(12).backward()
    torch.testing.assert_close(p.grad, free.grad)
