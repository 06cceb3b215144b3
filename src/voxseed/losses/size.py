"""Size: an object should be about as large as it is known to be."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.objects import mean_over_samples_with_objects, volume_in_box
from voxseed.supervision.kinds import ObjectInPatch

LOWER_SHARE, UPPER_SHARE = 0.9, 1.1
"""Bounds of an object's volume, as shares of the one that it is known to have."""


@register_loss("size")
class SizeLoss(nn.Module):
    """((V - b) / V*)^2 where the volume V leaves its bounds b = 0.9 V* and 1.1 V*, else 0.

    Kervadec et al. 2019, with the bounds of Zhai et al. 2023 (PA-Seg); relative to V*, so that objects of any size
    count alike. V is the probability of the object's class summed over its box. Where the patch cuts the box, a part of
    the object may lie outside, and the upper bound alone holds. Mean over the objects of a sample, then over the
    samples that have one.

    Forward args:
        probabilities: (B, C, I, J, K), in [0, 1].
        objects: of each sample; V* is their `true_voxels`. Those for which it is not a number above 0 are left out.

    Returns:
        Scalar >= 0; 0 without gradient if there is no object.

    Raises:
        ShapeError: if there are objects of another number of samples.
    """

    def forward(self, probabilities: Tensor, objects: Sequence[Sequence[ObjectInPatch]]) -> Tensor:
        return mean_over_samples_with_objects(_of_sample, probabilities, objects)


def _of_sample(probabilities: Tensor, objects: Sequence[ObjectInPatch]) -> Tensor | None:
    losses = [_of_object(probabilities, item) for item in objects if item.true_voxels > 0]
    return torch.stack(losses).mean() if losses else None


def _of_object(probabilities: Tensor, item: ObjectInPatch) -> Tensor:
    share = volume_in_box(probabilities, item) / item.true_voxels
    loss = (share - UPPER_SHARE).clamp(min=0).square()
    if item.is_whole:
        loss = loss + (LOWER_SHARE - share).clamp(min=0).square()
    return loss
