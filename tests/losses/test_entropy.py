import math

import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.entropy import EntropyLoss


def _entropy(*probabilities: float) -> float:
    return -sum(p * math.log(p) for p in probabilities) / math.log(len(probabilities))


@pytest.mark.parametrize(
    ("rows", "mask", "expected"),
    [
        ([[0.5, 0.5]], [1], 1.0),
        ([[0.9, 0.1], [0.5, 0.5]], [1, 0], _entropy(0.9, 0.1)),  # 0.469
        ([[0.9, 0.1], [0.5, 0.5]], [1, 1], (_entropy(0.9, 0.1) + 1) / 2),
        ([[0.2, 0.3, 0.5]], [1], _entropy(0.2, 0.3, 0.5)),  # 0.937
        ([[1 / 3, 1 / 3, 1 / 3]], [1], 1.0),
        ([[0.5, 0.5]], [0], 0.0),
    ],
)
def test_entropy_of_a_row_of_voxels(rows, mask, expected):
    logits = torch.tensor(rows, dtype=torch.float64).log().T[None, :, None, None]
    loss = EntropyLoss()(logits, torch.tensor(mask, dtype=torch.bool).view(1, 1, 1, 1, -1))
    assert loss.item() == pytest.approx(expected)


def test_it_equals_a_double_loop_and_masked_voxels_get_no_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, 1, 2, 3, 4, generator=generator) < 0.5
    loss = EntropyLoss()(logits, mask)
    loss.backward()
    means = []
    for sample in range(2):
        voxels = [logits[(sample, slice(None), *v)].softmax(dim=0) for v in mask[sample, 0].nonzero().tolist()]
        means.append(sum(_entropy(*p.tolist()) for p in voxels) / len(voxels))
    assert loss.item() == pytest.approx(sum(means) / 2)
    assert torch.equal((logits.grad != 0).any(dim=1, keepdim=True), mask)


def test_certain_logits_stay_finite():
    logits = torch.tensor([1e4, -1e4]).view(1, 2, 1, 1, 1).requires_grad_()
    loss = EntropyLoss()(logits, torch.ones(1, 1, 1, 1, 1, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.isfinite().all()


def test_wrong_shapes_are_refused():
    logits = torch.zeros(1, 2, 2, 2, 2)
    with pytest.raises(ShapeError, match="mask: expected 1 channel"):
        EntropyLoss()(logits, logits > 0)
