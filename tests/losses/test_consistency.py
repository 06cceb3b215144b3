import pytest
import torch

from voxseed.errors import ShapeError
from voxseed.losses.consistency import ConsistencyLoss


def row(*foreground: float) -> torch.Tensor:
    p = torch.tensor(foreground, dtype=torch.float64).view(1, 1, 1, 1, -1)
    return torch.cat([1 - p, p], dim=1)


def mask(*values: bool) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, 1, -1)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ((True, True, False), (0.3**2 + 0.1**2) / 2),  # both classes differ by as much
        ((True, False, False), 0.09),
        ((False, False, False), 0.0),
    ],
)
def test_loss_of_a_row_of_three_voxels(counted, expected):
    loss = ConsistencyLoss()(row(0.5, 0.4, 1.0), row(0.8, 0.5, 0.0), mask(*counted))
    assert loss.item() == pytest.approx(expected)


def test_the_mean_is_over_samples_that_have_a_voxel():
    student, teacher = row(0.5, 0.4).repeat(3, 1, 1, 1, 1), row(0.8, 0.5).repeat(3, 1, 1, 1, 1)
    counted = torch.cat([mask(True, True), mask(False, False), mask(False, True)])
    assert ConsistencyLoss()(student, teacher, counted).item() == pytest.approx((0.05 + 0.01) / 2)


def test_no_gradient_reaches_the_teacher_or_a_voxel_that_does_not_count():
    student, teacher = row(0.5, 0.4).requires_grad_(), row(0.8, 0.5).requires_grad_()
    ConsistencyLoss()(student, teacher, mask(True, False)).backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad[0, :, 0, 0, 0], torch.tensor([0.3, -0.3], dtype=torch.float64))
    assert not student.grad[..., 1].any()


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match="teacher: expected 2 channel"):
        ConsistencyLoss()(row(0.5), row(0.5)[:, :1], mask(True))
