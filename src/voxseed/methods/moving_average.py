"""Exponential moving average of a network's weights, for teachers."""

import torch
from torch import nn


@torch.no_grad()
def update_average(teacher: nn.Module, student: nn.Module, decay: float, step: int) -> None:
    """Move every weight of the teacher towards the student's: teacher = d * teacher + (1 - d) * student.

    d is `decay`, but at most 1 - 1 / (step + 1), so that the first steps do not remember the initial weights
    (Tarvainen and Valpola 2017).

    Args:
        teacher, student: the same architecture.
        decay: in [0, 1).
        step: optimiser steps done, from 1.
    """
    bounded = min(decay, 1 - 1 / (step + 1))
    student_values = student.state_dict()
    for name, value in teacher.state_dict().items():
        if value.is_floating_point():
            value.lerp_(student_values[name], 1 - bounded)
        else:
            value.copy_(student_values[name])
