"""Focal loss: numbers worked out by hand."""

import math

import pytest
import torch

from voxseed.losses.focal import FocalLoss


def test_two_voxels_by_hand():
    # p = 1/2: 0.25 * 0.25 ln 2 for foreground, 0.75 * 0.25 ln 2 for background.
    loss = FocalLoss()(torch.zeros(1, 2, 2, 1, 1), torch.tensor([0.9, 0.1]).view(1, 1, 2, 1, 1))
    assert loss.item() == pytest.approx(0.125 * math.log(2), rel=1e-6)


def test_another_gamma_and_three_classes_by_hand():
    # p = 1/3 of class 2: 0.5 * (2/3)^1 * ln 3.
    loss = FocalLoss(gamma=1, alpha=0.5)(torch.zeros(1, 3, 1, 1, 1), torch.tensor([0.1, 0.8]).view(1, 2, 1, 1, 1))
    assert loss.item() == pytest.approx(math.log(3) / 3, rel=1e-6)


def test_how_probable_the_target_is_does_not_matter():
    logits = torch.randn(1, 2, 4, 1, 1)
    sure, unsure = (torch.tensor(values).view(1, 1, 4, 1, 1) for values in ([1.0, 0, 0, 1], [0.6, 0.4, 0.1, 0.7]))
    torch.testing.assert_close(FocalLoss()(logits, sure), FocalLoss()(logits, unsure))


def test_certain_and_right_costs_nothing_and_has_a_finite_gradient():
    logits = torch.tensor([-200.0, 200.0]).view(1, 2, 1, 1, 1).requires_grad_()
    loss = FocalLoss()(logits, torch.ones(1, 1, 1, 1, 1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.isfinite().all()


def test_voxels_that_do_not_count_change_nothing():
    logits, g = torch.randn(1, 2, 3, 1, 1), torch.tensor([0.9, 0.2, 0.6]).view(1, 1, 3, 1, 1)
    counted = torch.tensor([True, False, True]).view(1, 1, 3, 1, 1)
    kept = [0, 2]
    torch.testing.assert_close(FocalLoss()(logits, g, counted), FocalLoss()(logits[:, :, kept], g[:, :, kept]))
