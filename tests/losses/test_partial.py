import math

import pytest
import torch
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.base import LOSSES
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.types import IGNORE


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two samples, three classes, half of the voxels annotated; the second sample has no voxel of class 2."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 3, 3, 4, 2, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (2, 1, 3, 4, 2), generator=generator)
    target[1][target[1] == 2] = 0
    target[torch.rand(target.shape, generator=generator) < 0.5] = IGNORE
    return logits.to(dtype), target.to(torch.uint8)


def slow_loss(
    logits: Tensor, target: Tensor, absent: list[list[int]], *, scale: float, power: int, first_class: int
) -> Tensor:
    """Voxel by voxel, as written in the paper."""
    losses = []
    for b in range(len(logits)):
        voxels = torch.cartesian_prod(*map(torch.arange, target.shape[2:])).tolist()
        labelled = [v for v in voxels if target[(b, 0, *v)] != IGNORE]
        if not labelled:
            continue
        p = {tuple(v): logits[(b, slice(None), *v)].softmax(dim=0) for v in labelled}
        q = {tuple(v): int(target[(b, 0, *v)]) for v in labelled}
        cross_entropy = sum(-torch.log(p[v][q[v]]) for v in p) / len(labelled)
        terms = []
        for c in range(first_class, logits.shape[1]):
            mass = sum(p[v][c] ** power for v in p)
            if c in q.values():
                overlap = sum(p[v][c] for v in p if q[v] == c)
                terms.append(1 - 2 * overlap / (mass + sum(q[v] == c for v in p)))
            elif c in absent[b]:
                terms.append(mass / (mass + 0.01 * len(labelled)))
        losses.append(scale * (cross_entropy + (sum(terms) / len(terms) if terms else 0.0)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("absent", [[[], []], [[], [2]], [[1], [1, 2]]], ids=str)
@pytest.mark.parametrize("include_background", [False, True])
@pytest.mark.parametrize("squared_dice", [True, False])
@pytest.mark.parametrize("reduction", ["half-sum", "sum"])
def test_value_and_gradient_equal_the_definition(reduction, squared_dice, include_background, absent):
    logits, target = example()
    ours, slow = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    flags = torch.zeros(2, 3, dtype=torch.bool)
    for b, classes in enumerate(absent):
        flags[b, classes] = True
    loss = PartialSupervisionLoss(reduction, squared_dice, include_background)(ours, target, flags)
    expected = slow_loss(
        slow,
        target,
        absent,
        scale={"half-sum": 0.5, "sum": 1.0}[reduction],
        power=2 if squared_dice else 1,
        first_class=0 if include_background else 1,
    )
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, slow.grad)


@pytest.mark.parametrize(
    ("foreground", "target", "cross_entropy", "dice"),
    [
        # p of the target class 3/4 and 1/2; Dice of class 1: 1 - 2 * 3/4 / (9/16 + 1/4 + 1).
        ([0.75, 0.5, 0.9], [1, 0, IGNORE], (math.log(4 / 3) + math.log(2)) / 2, 1 - 1.5 / (13 / 16 + 1)),
        # All background: class 1 says nothing about itself.
        ([0.25, 0.25, 0.9], [0, 0, IGNORE], math.log(4 / 3), 0.0),
        # The unannotated voxel does not count, whatever is predicted there.
        ([0.75, 0.5, 0.1], [1, 0, IGNORE], (math.log(4 / 3) + math.log(2)) / 2, 1 - 1.5 / (13 / 16 + 1)),
        ([0.1, 0.2, 0.3], [IGNORE, IGNORE, IGNORE], 0.0, 0.0),
    ],
)
def test_loss_of_a_row_of_three_voxels(foreground, target, cross_entropy, dice):
    p = torch.tensor(foreground, dtype=torch.float64).view(1, 1, 1, 1, -1)
    logits = torch.cat([1 - p, p], dim=1).log()
    loss = PartialSupervisionLoss()(logits, torch.tensor(target).view(1, 1, 1, 1, -1))
    assert loss.item() == pytest.approx((cross_entropy + dice) / 2)


def test_absent_class_costs_one_half_where_it_covers_its_share_and_falls_with_its_mass():
    target = torch.zeros(1, 1, 10, 10, 1, dtype=torch.uint8)
    absent = torch.tensor([[False, True]])
    losses = []
    for voxels in (0, 1, 10):
        logits = torch.zeros(1, 2, 100).index_fill(1, torch.tensor([1]), -30.0)
        logits[0, 1, :voxels] = 30.0
        logits = logits.view(1, 2, 10, 10, 1)
        with_absent = PartialSupervisionLoss("sum")(logits, target, absent)
        losses.append((with_absent - PartialSupervisionLoss("sum")(logits, target)).item())
    assert losses == pytest.approx([0.0, 1 / 2, 10 / 11], abs=1e-5)


def test_sample_without_annotation_contributes_nothing_and_gets_no_gradient():
    logits, target = example()
    target[1] = IGNORE
    logits.requires_grad_()
    loss = PartialSupervisionLoss()(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx(PartialSupervisionLoss()(logits[:1], target[:1]).item())
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).any()


def test_only_annotated_voxels_get_a_gradient():
    logits, target = example()
    logits.requires_grad_()
    PartialSupervisionLoss()(logits, target).backward()
    touched = (logits.grad != 0).any(dim=1, keepdim=True)
    assert torch.equal(touched, target != IGNORE)


def test_batch_without_any_annotation_is_zero_with_zero_gradient():
    logits, target = example()
    logits.requires_grad_()
    loss = PartialSupervisionLoss()(logits, torch.full_like(target, IGNORE), torch.ones(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_bfloat16_logits_are_computed_in_float32():
    logits, target = example(torch.bfloat16)
    loss = PartialSupervisionLoss()(logits, target)
    assert loss.dtype is torch.float32
    assert loss.item() == PartialSupervisionLoss()(logits.float(), target).item()


def test_extreme_logits_stay_finite():
    logits, target = example(torch.float32)
    logits = (1e4 * logits).requires_grad_()
    PartialSupervisionLoss()(logits, target).backward()
    assert logits.grad.isfinite().all()


def test_wrong_shapes_and_options_are_refused():
    logits, target = example()
    with pytest.raises(ShapeError, match="target: expected 1 channel"):
        PartialSupervisionLoss()(logits, target.expand(-1, 3, -1, -1, -1))
    with pytest.raises(ShapeError, match="share B, I, J, K"):
        PartialSupervisionLoss()(logits, target[:, 0])
    with pytest.raises(ValueError, match="reduction: expected 'half-sum' or 'sum', found 'mean'"):
        PartialSupervisionLoss("mean")
    with pytest.raises(ValueError, match=r"absent_share: expected a number in \(0, 1\], found 0"):
        PartialSupervisionLoss(absent_share=0)


def test_losses_register_by_name():
    assert LOSSES.get("partial") is PartialSupervisionLoss
    assert {"crf", "distillation", "partial", "variance"} <= set(LOSSES.names())


def test_weights_of_a_row_of_four_voxels():
    """Foreground probabilities 3/4, 1/2, 1/4, 9/10; two annotated voxels, one of weight 1/10, one of no label."""
    p = torch.tensor([0.75, 0.5, 0.25, 0.9], dtype=torch.float64).view(1, 1, 1, 1, -1)
    logits = torch.cat([1 - p, p], dim=1).log()
    target = torch.tensor([1, 0, 1, IGNORE]).view(1, 1, 1, 1, -1)
    weights = torch.tensor([1.0, 1.0, 0.1, 5.0], dtype=torch.float64).view(1, 1, 1, 1, -1)
    cross_entropy = (math.log(4 / 3) + math.log(2) + 0.1 * math.log(4)) / 2.1
    dice = 1 - 2 * (0.75 + 0.1 * 0.25) / (0.75**2 + 0.5**2 + 0.1 * 0.25**2 + 1 + 0.1)
    loss = PartialSupervisionLoss()(logits, target, weights=weights)
    assert loss.item() == pytest.approx((cross_entropy + dice) / 2)


def test_weights_that_are_all_the_same_change_nothing():
    logits, target = example()
    absent = torch.tensor([[False, False, False], [False, False, True]])
    for factor in (1.0, 1e-3, 7.0):
        weights = torch.full(target.shape, factor, dtype=torch.float64)
        torch.testing.assert_close(
            PartialSupervisionLoss()(logits, target, absent, weights), PartialSupervisionLoss()(logits, target, absent)
        )


def test_voxels_of_weight_zero_count_as_unannotated():
    logits, target = example()
    weights = (torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) < 0.5).double()
    ours, expected = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    PartialSupervisionLoss()(ours, target, weights=weights).backward()
    PartialSupervisionLoss()(expected, torch.where(weights > 0, target, IGNORE)).backward()
    torch.testing.assert_close(ours.grad, expected.grad)


def test_weights_of_another_shape_are_refused():
    logits, target = example()
    with pytest.raises(ShapeError, match="weights: expected 1 channel"):
        PartialSupervisionLoss()(logits, target, weights=torch.ones_like(logits))
