"""Mumford-Shah: every class is of one brightness and has little border."""

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
from voxseed.losses.total_variation import total_variation
from voxseed.losses.variance import class_variances


@register_loss("mumford-shah")
class MumfordShahLoss(nn.Module):
    """1/N sum_c (sum_i |x_i - m_c|^2 p_ic + eta sum |grad p_c|) over the N valid voxels, then mean over samples.

    Kim and Ye 2019, after Mumford and Shah 1989; m_c is the mean intensity under p_c, which gets no gradient: the sum
    is stationary in it.

    Args:
        variation_weight: eta.

    Forward args:
        probabilities: (B, C, I, J, K), summing to 1 over C.
        image: (B, M, I, J, K), M channels, over which the first term is summed; z-scored per case.
        valid: (B, 1, I, J, K), bool.

    Returns:
        Scalar >= 0, the first term in squared intensity units.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def __init__(self, variation_weight: float = 1e-3) -> None:
        super().__init__()
        self.variation_weight = variation_weight

    def forward(self, probabilities: Tensor, image: Tensor, valid: Tensor) -> Tensor:
        require_same_space(probabilities=probabilities, image=image, valid=valid)
        require_channels(1, valid=valid)
        weights = at_least_float32(probabilities) * valid
        fidelity = class_variances(weights, at_least_float32(image)) * weights.sum(dim=SPACE)
        energy = fidelity + self.variation_weight * total_variation(weights, valid)
        count = voxel_counts(valid).squeeze(1)
        return mean_over_samples(energy.sum(dim=1) / count.clamp(min=1), count > 0)
