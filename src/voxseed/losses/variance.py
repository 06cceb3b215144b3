"""Variance minimisation: a segmentation should be of one brightness inside and of one outside."""

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.shapes import (
    SPACE,
    at_least_float32,
    mean_over_samples,
    require_channels,
    require_same_space,
    voxel_counts,
)


@register_loss("variance")
class VarianceLoss(nn.Module):
    """Sum over classes of the intensity variance under each class's probability.

    Zhai et al. 2023 (PA-Seg), Eq. 9 and 10, after Chan and Vese 2001.

    Args:
        probabilities: (B, C, I, J, K), in [0, 1], summing to 1 over C.
        image: (B, M, I, J, K), M channels, z-scored per case.
        valid: (B, 1, I, J, K), bool; False on padding and outside the body.

    Returns:
        Scalar, in squared intensity units; 0 for perfectly homogeneous classes. Mean over the samples that have a
        valid voxel.

    Raises:
        ShapeError: if the three do not share B, I, J, K.

    Example:
        >>> loss = partial_loss + 0.1 * VarianceLoss()(logits.softmax(dim=1), image, image != 0)
    """

    def forward(self, probabilities: Tensor, image: Tensor, valid: Tensor) -> Tensor:
        require_same_space(probabilities=probabilities, image=image, valid=valid)
        require_channels(1, valid=valid)
        weights = at_least_float32(probabilities) * valid
        variances = class_variances(weights, at_least_float32(image)).sum(dim=1)
        return mean_over_samples(variances, voxel_counts(valid).squeeze(1) > 0)


def class_variances(weights: Tensor, image: Tensor) -> Tensor:
    """Weighted intensity variance of each class, summed over channels: (B, C). A class without weight has 0.

    Args:
        weights: (B, C, I, J, K), not negative.
        image: (B, M, I, J, K); it and the class means get no gradient. The latter changes nothing: the variance
            is stationary in the mean.
    """
    mass = weights.sum(dim=SPACE)
    divisor = torch.where(mass > 0, mass, 1)
    with torch.no_grad():
        distance = _squared_distance_to_mean(weights, divisor, image)
    return (weights * distance).sum(dim=SPACE) / divisor


def _squared_distance_to_mean(weights: Tensor, mass: Tensor, image: Tensor) -> Tensor:
    """(x - u_c)^2 of every voxel and class, summed over channels: (B, C, I, J, K)."""
    distance = torch.zeros_like(weights)
    for channel in image.split(1, dim=1):
        mean = (weights * channel).sum(dim=SPACE) / mass
        distance += (channel - mean[:, :, None, None, None]).square()
    return distance
