"""Cross-entropy where only some classes are possible."""

import math

import pytest
import torch

from voxseed.losses.allowed_classes import AllowedClassesLoss


def _loss(probabilities, allowed):
    """Of one sample: a row of voxels, each a list over classes."""
    p = torch.tensor(probabilities, dtype=torch.float64).T.view(1, 3, 1, 1, -1).requires_grad_()
    loss = AllowedClassesLoss()(p.log(), torch.tensor(allowed, dtype=torch.bool).T.view(1, 3, 1, 1, -1))
    loss.backward()
    assert p.grad.isfinite().all()
    return loss.item()


@pytest.mark.parametrize(
    ("probabilities", "allowed", "expected"),
    [
        ([[0.5, 0.3, 0.2]], [[1, 1, 0]], -math.log(0.8)),
        ([[0.5, 0.3, 0.2]], [[0, 0, 1]], -math.log(0.2)),  # cross-entropy
        ([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [[1, 1, 0], [1, 1, 1]], -math.log(0.8)),  # all allowed: does not count
        ([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [[1, 1, 0], [1, 0, 1]], -(math.log(0.8) + math.log(0.9)) / 2),
        ([[0.5, 0.3, 0.2]], [[1, 1, 1]], 0.0),
    ],
)
def test_loss_of_a_row(probabilities, allowed, expected):
    assert _loss(probabilities, allowed) == pytest.approx(expected)
