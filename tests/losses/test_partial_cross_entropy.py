import math

import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.types import IGNORE


@pytest.mark.parametrize(
    ("foreground", "target", "expected"),
    [
        ([0.75, 0.5, 0.9], [1, 0, IGNORE], (math.log(4 / 3) + math.log(2)) / 2),
        ([0.25, 0.25, 0.9], [0, IGNORE, IGNORE], math.log(4 / 3)),
        ([0.1, 0.2, 0.3], [IGNORE, IGNORE, IGNORE], 0.0),
    ],
)
def test_loss_of_a_row_of_three_voxels(foreground, target, expected):
    p = torch.tensor(foreground, dtype=torch.float64).view(1, 1, 1, 1, -1)
    loss = PartialCrossEntropyLoss()(torch.cat([1 - p, p], dim=1).log(), torch.tensor(target).view(1, 1, 1, 1, -1))
    assert loss.item() == pytest.approx(expected)


def test_a_sample_without_annotation_is_left_out_of_the_mean():
    logits = torch.randn(2, 3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    target = torch.ones(2, 1, 2, 2, 2, dtype=torch.long)
    target[1] = IGNORE
    assert PartialCrossEntropyLoss()(logits, target) == PartialCrossEntropyLoss()(logits[:1], target[:1])
    with pytest.raises(ShapeError, match="target: expected 1 channel"):
        PartialCrossEntropyLoss()(logits, target.expand(-1, 3, -1, -1, -1))
