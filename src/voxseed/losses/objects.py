"""What losses on objects and their boxes share."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.shapes import at_least_float32, mean_over_samples
from voxseed.supervision.kinds import ObjectInPatch


def mean_over_samples_with_objects(
    loss_of_sample: Callable[[Tensor, Sequence[ObjectInPatch]], Tensor | None],
    probabilities: Tensor,
    objects: Sequence[Sequence[ObjectInPatch]],
) -> Tensor:
    """Mean of a loss over the samples of which it says something; 0 without gradient if there is none.

    Args:
        loss_of_sample: probabilities (C, I, J, K) and objects of a sample → scalar, or None.
        probabilities: (B, C, I, J, K).
        objects: of each sample; empty where nobody has any.

    Raises:
        ShapeError: if there are objects of another number of samples.
    """
    probabilities = at_least_float32(probabilities)
    if objects and len(objects) != len(probabilities):
        raise ShapeError(f"Expected objects of {len(probabilities)} samples, found {len(objects)}.")
    losses = [loss_of_sample(*sample) for sample in zip(probabilities, objects, strict=False)]
    if not losses:
        return probabilities.new_zeros(())
    values = torch.stack([probabilities.new_zeros(()) if loss is None else loss for loss in losses])
    return mean_over_samples(values, torch.tensor([loss is not None for loss in losses], device=values.device))


def volume_in_box(probabilities: Tensor, item: ObjectInPatch) -> Tensor:
    """Voxels of the object's class in its box, a scalar: the sum of the class's probabilities (C, I, J, K)."""
    return probabilities[(item.class_index, *item.slices)].sum()
