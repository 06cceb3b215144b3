"""Tightness: every line through a tight box, seen along any axis, meets the object."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.log_barrier import log_barrier
from voxseed.losses.objects import mean_over_samples_with_objects
from voxseed.supervision.kinds import ObjectInPatch


@register_loss("tightness")
class TightnessLoss(nn.Module):
    """Log barriers of w - sum over a band of w lines, for all bands of all projections of a box.

    Kervadec et al. 2020 (deep tightness prior), in 3D: along each axis, the maximum projection of p_c in the box is an
    image, and each direction of that image is cut into consecutive bands of `band_width` lines across the box (the last
    one may be narrower). If the box is tight, each line of a band meets the object, so p summed over the band is at
    least the number of its lines. Sum over the bands and objects of a sample, as in the released program, mean over
    the samples that have one.

    Objects of which the patch cuts the box are left out, because a line may meet them outside.

    Args:
        band_width: w, in voxels.
        margin_voxels: the box is so much larger than the object on each side; it is shrunk by that first, but no
            further than to one voxel.

    Forward args:
        probabilities: (B, C, I, J, K), in [0, 1].
        objects: of each sample.
        t: hardness of the barrier, > 0.

    Returns:
        Scalar, of either sign; 0 without gradient if there is no whole object.

    Raises:
        ShapeError: if there are objects of another number of samples.
    """

    def __init__(self, band_width: int = 10, margin_voxels: int = 0) -> None:
        super().__init__()
        self.band_width = band_width
        self.margin_voxels = margin_voxels

    def forward(self, probabilities: Tensor, objects: Sequence[Sequence[ObjectInPatch]], t: float) -> Tensor:
        return mean_over_samples_with_objects(partial(self._of_sample, t=t), probabilities, objects)

    def _of_sample(self, probabilities: Tensor, objects: Sequence[ObjectInPatch], t: float) -> Tensor | None:
        missing = []
        for item in objects:
            if item.is_whole:
                i, j, k = (_shrunk(extent, self.margin_voxels) for extent in item.slices)
                missing.append(missing_in_bands(probabilities[item.class_index, i, j, k], self.band_width))
        return log_barrier(torch.cat(missing), t).sum() if missing else None


def missing_in_bands(probability: Tensor, band_width: int) -> Tensor:
    """What each band lacks: lines minus probability, (number of bands,), at most 0 where it lacks nothing.

    Args:
        probability: (i, j, k), of a class in a box.
        band_width: lines of a band.
    """
    missing = []
    for axis in range(3):
        projection = probability.amax(dim=axis)
        for direction in range(2):
            lines = projection.sum(dim=1 - direction)
            bands = lines.split(band_width)
            missing += [len(band) - band.sum() for band in bands]
    return torch.stack(missing)


def _shrunk(extent: slice, margin: int) -> slice:
    """Narrower on both sides, as far as one voxel in the middle is left."""
    margin = min(margin, (extent.stop - extent.start - 1) // 2)
    return slice(extent.start + margin, extent.stop - margin)
