"""Weights that are best on dense labels of validation cases."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from voxseed.training.selection import BestOnDense
from voxseed.types import IGNORE


class Sign(torch.nn.Module):
    """Class 1 where the image is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([-image, image], dim=1) * self.weight


def test_ignored_voxels_are_neither_right_nor_wrong(tmp_path):
    image = -np.ones((1, 4, 4, 4), np.float32)
    image[0, :2] = 1
    target = np.full((4, 4, 4), IGNORE, np.uint8)
    target[0], target[2] = 1, 0
    target[0, 0, 0] = 0  # of 16 voxels that are known and predicted, one is wrong
    case = SimpleNamespace(
        image={"image": image, "valid": np.ones((4, 4, 4), np.uint8)}, supervision={"target": target}
    )
    for part in ("image", "supervision"):
        setattr(case, part, SimpleNamespace(read=getattr(case, part).__getitem__))
    callback = BestOnDense(tmp_path, [case], (4, 4, 4), 0.5)
    assert callback._mean_dice(Sign()) == pytest.approx(2 * 15 / (16 + 15))
