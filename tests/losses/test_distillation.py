import math

import pytest
import torch
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.distillation import DistillationLoss


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(11)
    student = torch.randn(2, 3, 2, 3, 4, generator=generator, dtype=torch.float64)
    teacher = torch.randn(2, 3, 2, 3, 4, generator=generator, dtype=torch.float64)
    return student.to(dtype), teacher.to(dtype), torch.rand(2, 1, 2, 3, 4, generator=generator) > 0.3


def slow_loss(student: Tensor, teacher: Tensor, valid: Tensor, temperature: float, factor: float) -> Tensor:
    means = []
    for b in range(len(student)):
        voxels = [tuple(v) for v in torch.nonzero(valid[b, 0]).tolist()]
        terms = []
        for v in voxels:
            p = (teacher[(b, slice(None), *v)] / temperature).softmax(dim=0)
            q = (student[(b, slice(None), *v)] / temperature).softmax(dim=0)
            terms.append(sum(p[c] * torch.log(p[c] / q[c]) for c in range(len(p))))
        means.append(sum(terms) / len(terms))
    return factor * sum(means) / len(means)


@pytest.mark.parametrize(("squared", "factor"), [(True, 16.0), (False, 1.0)])
def test_value_and_gradient_equal_the_definition(squared, factor):
    student, teacher, valid = example()
    ours, slow = student.clone().requires_grad_(), student.clone().requires_grad_()
    loss = DistillationLoss(4.0, squared)(ours, teacher, valid)
    expected = slow_loss(slow, teacher, valid, 4.0, factor)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, slow.grad)


@pytest.mark.parametrize(
    ("temperature", "teacher_odds", "student_odds", "expected"),
    [
        (1.0, 3.0, 1.0, 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)),
        (1.0, 3.0, 3.0, 0.0),
        # At T = 2 odds of 9 soften to 3; T^2 = 4.
        (2.0, 9.0, 1.0, 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))),
    ],
)
def test_divergence_of_one_voxel(temperature, teacher_odds, student_odds, expected):
    def logits(odds: float) -> Tensor:
        return torch.tensor([0.0, math.log(odds)]).view(1, 2, 1, 1, 1)

    valid = torch.ones(1, 1, 1, 1, 1, dtype=torch.bool)
    loss = DistillationLoss(temperature)(logits(student_odds), logits(teacher_odds), valid)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_gradient_never_reaches_the_teacher():
    student, teacher, valid = example()
    student.requires_grad_()
    teacher.requires_grad_()
    DistillationLoss()(student, teacher, valid).backward()
    assert teacher.grad is None
    assert (student.grad != 0).any()


def test_invalid_voxels_and_samples_are_left_out():
    student, teacher, valid = example()
    valid[1] = False
    student.requires_grad_()
    loss = DistillationLoss()(student, teacher, valid)
    loss.backward()
    assert loss.item() == pytest.approx(DistillationLoss()(student[:1], teacher[:1], valid[:1]).item())
    assert torch.equal((student.grad != 0).any(dim=1, keepdim=True), valid)


def test_bfloat16_is_computed_in_float32():
    student, teacher, valid = example(torch.bfloat16)
    assert DistillationLoss()(student, teacher, valid).dtype is torch.float32


def test_wrong_shapes_and_temperatures_are_refused():
    student, teacher, valid = example()
    with pytest.raises(ShapeError, match="teacher_logits: expected 3 channel"):
        DistillationLoss()(student, teacher[:, :2], valid)
    with pytest.raises(ShapeError, match="share B, I, J, K"):
        DistillationLoss()(student, teacher, valid[:, :, :1])
    with pytest.raises(ValueError, match="temperature: expected a number above 0, found 0"):
        DistillationLoss(temperature=0)
