"""Which classes a voxel may have, by the boxes that hold it."""

import torch
from torch import Tensor

from voxseed.methods.base import Batch


def classes_in_boxes(case: Batch, class_count: int) -> Tensor:
    """Classes that a voxel may have, (B, C, I, J, K) bool: background, and those whose boxes hold it."""
    allowed = torch.zeros(
        len(case.image), class_count, *case.image.shape[2:], dtype=torch.bool, device=case.image.device
    )
    allowed[:, 0] = True
    for sample, objects in enumerate(case.objects):
        for item in objects:
            allowed[(sample, item.class_index, *item.slices)] = True
    return allowed
