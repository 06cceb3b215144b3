import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.total_variation import TotalVariationLoss


@pytest.mark.parametrize(
    ("foreground", "valid", "expected"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),
        ([0, 1, 1, 0], [1, 1, 1, 1], 2 * 2 / 4),  # two borders, seen by both classes, four voxels
        ([0, 0.5, 1, 1], [1, 1, 1, 1], 2 * 1 / 4),  # a slope costs what its height does
        ([0, 1, 1, 0], [1, 1, 1, 0], 2 * 1 / 3),  # the border to an invalid voxel is none
        ([0, 1, 1, 0], [0, 0, 0, 0], 0.0),
    ],
)
def test_variation_of_a_row_of_four_voxels(foreground, valid, expected):
    p = torch.tensor(foreground, dtype=torch.float64).view(1, 1, 1, 4, 1)
    mask = torch.tensor(valid, dtype=torch.bool).view(1, 1, 1, 4, 1)
    assert TotalVariationLoss()(torch.cat([1 - p, p], dim=1), mask).item() == pytest.approx(expected)


def test_it_equals_a_double_loop_over_neighbours():
    generator = torch.Generator().manual_seed(1)
    p = torch.rand(2, 3, 3, 2, 4, generator=generator, dtype=torch.float64).softmax(dim=1)
    valid = torch.rand(2, 1, 3, 2, 4, generator=generator) < 0.7
    means = []
    for sample in range(2):
        total, voxels = 0.0, valid[sample, 0].nonzero().tolist()
        for here in voxels:
            for axis in range(3):
                there = [position + (axis == number) for number, position in enumerate(here)]
                if there in voxels:
                    total += (p[(sample, slice(None), *here)] - p[(sample, slice(None), *there)]).abs().sum().item()
        means.append(total / len(voxels))
    assert TotalVariationLoss()(p, valid).item() == pytest.approx(sum(means) / 2)


def test_wrong_shapes_are_refused():
    p = torch.zeros(1, 2, 2, 2, 2)
    with pytest.raises(ShapeError, match="share B, I, J, K"):
        TotalVariationLoss()(p, torch.ones(1, 1, 2, 2, 1, dtype=torch.bool))
