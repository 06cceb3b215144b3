"""Noise-robust Dice: between Dice and mean absolute error, which counts wrong labels less."""

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.shapes import SPACE, at_least_float32, mean_over_samples, require_channels, require_same_space
from voxseed.types import IGNORE


@register_loss("noise-robust-dice")
class NoiseRobustDiceLoss(nn.Module):
    """sum |p - q|^gamma / (sum p^2 + sum q^2 + epsilon), mean over the foreground classes, then over samples.

    Wang et al. 2020 (COPLE-Net), Eq. 3, over the labelled voxels. gamma = 2 is Dice with squares, gamma = 1 a mean
    absolute error. Of a class without a label the probabilities in the denominator are not squared: with squares the
    term would be the smaller, the more of the class is predicted.

    Args:
        gamma: in [1, 2].
        epsilon: keeps a class that nobody labels or predicts at 0.

    Forward args:
        probabilities: (B, C, I, J, K), summing to 1 over C.
        label: (B, 1, I, J, K), integer class indices; IGNORE (255) where there is none.

    Returns:
        Scalar, 0 where prediction and label are the same, and not negative. Samples without any label are left out of
        the mean.

    Raises:
        ShapeError: if the tensors do not fit together.
    """

    def __init__(self, gamma: float = 1.5, epsilon: float = 1e-5) -> None:
        super().__init__()
        if not 1 <= gamma <= 2:
            raise ValueError(f"gamma: expected a number in [1, 2], found {gamma}.")
        self.gamma, self.epsilon = gamma, epsilon

    def forward(self, probabilities: Tensor, label: Tensor) -> Tensor:
        require_same_space(probabilities=probabilities, label=label)
        require_channels(1, label=label)
        labelled = label != IGNORE
        foreground = at_least_float32(probabilities)[:, 1:] * labelled
        classes = torch.arange(1, probabilities.shape[1], device=label.device)
        truth = (label == classes[:, None, None, None]).to(foreground.dtype)
        numerator = (foreground - truth).abs().pow(self.gamma).sum(dim=SPACE)
        labelled_voxels = truth.sum(dim=SPACE)
        squares, plain = foreground.square().sum(dim=SPACE), foreground.sum(dim=SPACE)
        denominator = torch.where(labelled_voxels > 0, squares + labelled_voxels, plain) + self.epsilon
        return mean_over_samples((numerator / denominator).mean(dim=1), labelled.flatten(1).any(dim=1))
