import pytest
import torch
from torch import nn

from voxseed.methods.moving_average import update_average


@pytest.mark.parametrize(
    ("decay", "step", "expected"),
    [
        (0.99, 1, 2.0),  # 1 - 1/2 = 0.5 of each
        (0.99, 3, 1.5),  # 1 - 1/4 = 0.75 of the teacher
        (0.5, 100, 2.0),
        (0.9, 1000, 1.2),
        (0.0, 1, 3.0),
    ],
)
def test_the_teacher_moves_by_the_bounded_decay(decay, step, expected):
    teacher, student = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(teacher.weight, 1.0)
    nn.init.constant_(student.weight, 3.0)
    update_average(teacher, student, decay, step)
    assert teacher.weight.item() == pytest.approx(expected)
    assert student.weight.item() == 3.0


def test_counters_are_copied():
    teacher, student = nn.BatchNorm3d(2), nn.BatchNorm3d(2)
    student(torch.randn(2, 2, 3, 3, 3))
    update_average(teacher, student, 0.9, 10)
    assert teacher.num_batches_tracked.item() == 1
