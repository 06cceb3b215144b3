"""Probability-informed loss: numbers worked out by hand."""

import math

import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.probability import ProbabilityInformedLoss, most_probable


def voxels(rows) -> torch.Tensor:
    """One row per channel -> (1, channels, N, 1, 1)."""
    return torch.tensor(rows, dtype=torch.float32)[None, ..., None, None]


@pytest.mark.parametrize(
    ("probabilities", "classes", "weights"),
    [
        ([[0.8, 0.3, 0.5, 0.0]], [1, 0, 0, 0], [0.8, 0.7, 0.5, 1.0]),
        ([[0.2, 0.6, 0.1], [0.7, 0.55, 0.2]], [2, 1, 0], [0.7, 0.6, 0.8]),
    ],
)
def test_target_and_weight(probabilities, classes, weights):
    target, weight = most_probable(voxels(probabilities))
    assert target.flatten().tolist() == classes
    torch.testing.assert_close(weight.flatten(), torch.tensor(weights))


def test_two_classes_by_hand():
    # p = 1/2 everywhere; t = 1, 0 with w = 0.8, 0.7. BCE: 0.75 ln 2. Dice: 1 - 2 * 0.5 / (0.25 + 0.25 + 1).
    loss = ProbabilityInformedLoss()(torch.zeros(1, 2, 2, 1, 1), voxels([[0.8, 0.3]]))
    assert loss.item() == pytest.approx(0.75 * math.log(2) + 1 / 3, rel=1e-6)


def test_three_classes_by_hand():
    # One voxel of class 2 with w = 0.7, p = 1/3: 0.7 ln 3, and Dice 1 - (2/3) / (1/9 + 1). Class 1 does not occur.
    loss = ProbabilityInformedLoss()(torch.zeros(1, 3, 1, 1, 1), voxels([[0.2], [0.7]]))
    assert loss.item() == pytest.approx(0.7 * math.log(3) + 0.4, rel=1e-6)


def test_with_two_classes_it_is_the_weighted_binary_form():
    generator = torch.Generator().manual_seed(0)
    logits, g = torch.randn(1, 2, 3, 4, 5, generator=generator), torch.rand(1, 1, 3, 4, 5, generator=generator)
    p, t = logits.softmax(dim=1)[:, 1:], (g > 0.5).float()
    weight = torch.where(t == 1, g, 1 - g)
    bce = (weight * torch.nn.functional.binary_cross_entropy(p, t, reduction="none")).mean()
    dice = 1 - 2 * (p * t).sum() / (p.square().sum() + t.sum())
    torch.testing.assert_close(ProbabilityInformedLoss()(logits, g), bce + dice)


def test_without_foreground_only_the_cross_entropy_is_left():
    loss = ProbabilityInformedLoss()(torch.zeros(1, 2, 2, 1, 1), voxels([[0.0, 0.2]]))
    assert loss.item() == pytest.approx((1.0 + 0.8) / 2 * math.log(2), rel=1e-6)


def test_voxels_that_do_not_count_change_nothing():
    logits, probabilities = torch.randn(1, 2, 3, 1, 1), voxels([[0.8, 0.3, 0.9]])
    counted = torch.tensor([True, True, False]).view(1, 1, 3, 1, 1)
    loss = ProbabilityInformedLoss()
    torch.testing.assert_close(loss(logits, probabilities, counted), loss(logits[:, :, :2], probabilities[:, :, :2]))
    none = loss(logits.requires_grad_(), probabilities, torch.zeros_like(counted))
    none.backward()
    assert none.item() == 0
    assert not logits.grad.any()


def test_samples_are_averaged():
    logits, g = torch.randn(2, 2, 3, 2, 2), torch.rand(2, 1, 3, 2, 2)
    loss = ProbabilityInformedLoss()
    alone = (loss(logits[:1], g[:1]) + loss(logits[1:], g[1:])) / 2
    torch.testing.assert_close(loss(logits, g), alone)


def test_bf16_is_summed_in_float32():
    logits, g = torch.randn(1, 2, 8, 8, 8), torch.rand(1, 1, 8, 8, 8)
    half = ProbabilityInformedLoss()(logits.bfloat16(), g)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, ProbabilityInformedLoss()(logits.bfloat16().float(), g))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"probabilities: expected 2 channel"):
        ProbabilityInformedLoss()(torch.zeros(1, 3, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2))
    with pytest.raises(ShapeError, match="share B, I, J, K"):
        ProbabilityInformedLoss()(torch.zeros(1, 2, 2, 2, 2), torch.zeros(1, 1, 3, 2, 2))
