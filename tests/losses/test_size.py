"""Volumes of objects: penalty and barrier of their bounds."""

import math

import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.log_barrier import log_barrier
from voxseed.losses.size import SizeLoss
from voxseed.losses.size_barrier import SizeBarrierLoss
from voxseed.supervision.kinds import ObjectInPatch


def _object(true_voxels, is_whole=True, class_index=1, start=(0, 0, 0), stop=(2, 2, 2)) -> ObjectInPatch:
    return ObjectInPatch(class_index, start, stop, is_whole, (2, 2, 2), true_voxels)


def _probabilities(value: float, classes: int = 2) -> torch.Tensor:
    """A patch of 4 x 4 x 4; every foreground class has `value` in every voxel."""
    p = torch.full((1, classes, 4, 4, 4), value, dtype=torch.float64)
    p[:, 0] = 1 - (classes - 1) * value
    return p


@pytest.mark.parametrize(
    ("value", "true_voxels", "is_whole", "expected"),
    [
        (0.5, 4.0, True, 0.0),  # 8 voxels of 0.5 are 4
        (0.46, 4.0, True, 0.0),  # 3.68, within 3.6 and 4.4
        (0.25, 4.0, True, (3.6 - 2) ** 2 / 16),
        (1.0, 4.0, True, (8 - 4.4) ** 2 / 16),
        (0.25, 4.0, False, 0.0),  # the rest may lie outside the patch
        (1.0, 4.0, False, (8 - 4.4) ** 2 / 16),
        (1.0, math.nan, True, 0.0),  # nobody knows how large it is
    ],
)
def test_a_volume_costs_what_it_leaves_its_bounds_by(value, true_voxels, is_whole, expected):
    loss = SizeLoss()(_probabilities(value), [[_object(true_voxels, is_whole)]])
    assert loss.item() == pytest.approx(expected)


def test_objects_of_a_sample_and_samples_with_objects_are_averaged():
    p = _probabilities(0.25, classes=3).repeat(3, 1, 1, 1, 1)
    first, second = _object(4.0), _object(1.0, class_index=2, start=(1, 0, 0), stop=(4, 4, 4))  # 12 in the second
    loss = SizeLoss()(p, [[first, second], [], [_object(2.0)]])
    assert loss.item() == pytest.approx((((3.6 - 2) ** 2 / 16 + (12 - 1.1) ** 2) / 2 + 0) / 2)


def test_only_the_box_gets_a_gradient_and_none_is_no_gradient():
    p = _probabilities(1.0).requires_grad_()
    SizeLoss()(p, [[_object(4.0)]]).backward()
    assert (p.grad != 0).sum() == 8
    assert SizeLoss()(p, [[]]).item() == SizeLoss()(p, ()).item() == 0
    with pytest.raises(ShapeError, match="objects of 1 samples, found 2"):
        SizeLoss()(p, [[], []])


@pytest.mark.parametrize(
    ("z", "t", "expected"),
    [
        (-1.0, 5.0, 0.0),  # -log(1) / 5
        (-math.e, 5.0, -0.2),
        (-0.04, 5.0, -math.log(0.04) / 5),  # where the two meet
        (0.0, 5.0, -math.log(0.04) / 5 + 0.2),
        (2.0, 5.0, 10 - math.log(0.04) / 5 + 0.2),
        (2.0, 1.0, 3.0),
    ],
)
def test_the_barrier_is_a_logarithm_and_then_its_tangent(z, t, expected):
    value = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    barrier = log_barrier(value, t)
    barrier.backward()
    assert barrier.item() == pytest.approx(expected)
    assert value.grad.item() == pytest.approx(t if z >= -1 / t**2 else -1 / (z * t))


@pytest.mark.parametrize("is_whole", [True, False])
def test_the_size_barrier_has_both_bounds_of_what_is_whole(is_whole):
    def psi(z):
        return log_barrier(torch.tensor(z, dtype=torch.float64), 5.0).item()

    loss = SizeBarrierLoss()(_probabilities(0.25), [[_object(4.0, is_whole)]], 5.0)
    expected = psi(2 - 4.4) + (psi(3.6 - 2) if is_whole else 0)
    assert loss.item() == pytest.approx(expected / 64)
    assert SizeBarrierLoss()(_probabilities(0.25), [[]], 5.0).item() == 0
