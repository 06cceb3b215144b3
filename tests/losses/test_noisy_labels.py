"""Losses that count wrong labels less."""

import math

import pytest
import torch

from voxseed.losses.generalised_cross_entropy import GeneralisedCrossEntropyLoss
from voxseed.losses.noise_robust_dice import NoiseRobustDiceLoss
from voxseed.types import IGNORE


def _case(foreground, label):
    p = torch.tensor(foreground, dtype=torch.float64).view(1, 1, 1, 1, -1)
    return torch.cat([1 - p, p], dim=1), torch.tensor(label).view(1, 1, 1, 1, -1)


@pytest.mark.parametrize(
    ("foreground", "label", "gamma", "expected"),
    [
        ([1, 0], [1, 0], 1.5, 0.0),
        ([0.75, 0.25], [1, 0], 1.5, 2 * 0.25**1.5 / (0.75**2 + 0.25**2 + 1)),
        ([0.75, 0.25], [1, 0], 2.0, 1 - 2 * 0.75 / (0.75**2 + 0.25**2 + 1)),  # Dice with squares
        ([0.75, 0.25], [1, 0], 1.0, 0.5 / (0.75**2 + 0.25**2 + 1)),
        ([0.75, 0.25, 0.9], [1, 0, IGNORE], 1.5, 2 * 0.25**1.5 / (0.75**2 + 0.25**2 + 1)),
        ([0, 0], [0, 0], 1.5, 0.0),
        ([0.25, 0.01], [0, 0], 1.5, (0.125 + 0.001) / 0.26),  # no label: without squares
    ],
)
def test_noise_robust_dice_of_a_row(foreground, label, gamma, expected):
    assert NoiseRobustDiceLoss(gamma, epsilon=1e-12)(*_case(foreground, label)).item() == pytest.approx(expected)


def test_noise_robust_dice_is_a_mean_over_foreground_classes_with_a_finite_gradient():
    p = torch.tensor([[0.2, 0.0], [0.5, 0.0], [0.3, 1.0]], dtype=torch.float64).view(1, 3, 1, 1, 2).requires_grad_()
    loss = NoiseRobustDiceLoss(1.5, epsilon=1e-12)(p, torch.tensor([1, 2]).view(1, 1, 1, 1, 2))
    first, second = 0.5**1.5 / (0.5**2 + 1), 0.3**1.5 / (0.3**2 + 1 + 1)
    assert loss.item() == pytest.approx((first + second) / 2)
    loss.backward()
    assert p.grad.isfinite().all()


def test_noise_robust_dice_of_a_class_without_a_label_falls_with_its_prediction():
    values = [NoiseRobustDiceLoss()(*_case([p] * 1000, [0] * 1000)).item() for p in (0.5, 0.1, 0.01, 1e-3, 1e-6)]
    assert values == sorted(values, reverse=True)
    assert max(values) < 1
    assert values[-1] < 0.01


@pytest.mark.parametrize(
    ("foreground", "label", "kappa", "expected"),
    [
        ([0.75], [1], 1.0, 0.25),
        ([0.75, 0.25], [1, 1], 0.7, ((1 - 0.75**0.7) + (1 - 0.25**0.7)) / 0.7 / 2),
        ([0.75, 0.1], [1, IGNORE], 1e-6, math.log(4 / 3)),  # towards cross-entropy
        ([0.1], [IGNORE], 0.7, 0.0),
    ],
)
def test_generalised_cross_entropy_of_a_row(foreground, label, kappa, expected):
    p, target = _case(foreground, label)
    assert GeneralisedCrossEntropyLoss(kappa)(p.log(), target).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: NoiseRobustDiceLoss(gamma=0.5), r"gamma: expected a number in \[1, 2\], found 0.5"),
        (lambda: GeneralisedCrossEntropyLoss(kappa=0), r"kappa: expected a number in \(0, 1\], found 0"),
    ],
)
def test_wrong_options_are_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
