"""Size bounds as log barriers, which go with the deep tightness prior."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.log_barrier import log_barrier
from voxseed.losses.objects import mean_over_samples_with_objects, volume_in_box
from voxseed.losses.size import LOWER_SHARE, UPPER_SHARE
from voxseed.supervision.kinds import ObjectInPatch


@register_loss("size-barrier")
class SizeBarrierLoss(nn.Module):
    """psi_t(0.9 V* - V) + psi_t(V - 1.1 V*), divided by the voxels of the patch; volumes in voxels.

    Kervadec et al. 2020 (deep tightness prior), as in its released program. V and V* as in `SizeLoss`; where the patch
    cuts the box, the upper bound alone holds. Sum over the objects of a sample, mean over the samples that have one.

    Forward args:
        probabilities: (B, C, I, J, K), in [0, 1].
        objects: of each sample; V* is their `true_voxels`. Those for which it is not a number above 0 are left out.
        t: hardness of the barrier, > 0.

    Returns:
        Scalar, of either sign; 0 without gradient if there is no object.

    Raises:
        ShapeError: if there are objects of another number of samples.
    """

    def forward(self, probabilities: Tensor, objects: Sequence[Sequence[ObjectInPatch]], t: float) -> Tensor:
        loss = mean_over_samples_with_objects(partial(_of_sample, t=t), probabilities, objects)
        return loss / probabilities[0, 0].numel()


def _of_sample(probabilities: Tensor, objects: Sequence[ObjectInPatch], t: float) -> Tensor | None:
    excesses = []
    for item in objects:
        if item.true_voxels > 0:
            volume = volume_in_box(probabilities, item)
            excesses.append(volume - UPPER_SHARE * item.true_voxels)
            if item.is_whole:
                excesses.append(LOWER_SHARE * item.true_voxels - volume)
    return log_barrier(torch.stack(excesses), t).sum() if excesses else None
