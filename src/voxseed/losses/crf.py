"""Multi-view CRF: neighbours of like brightness should have like labels, seen in the slices of three views."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from voxseed.losses.base import register_loss
from voxseed.losses.crf_window import VIEWS, Offsets, View, Window, window_offsets
from voxseed.losses.kernels import crf_cpu, crf_torch
from voxseed.losses.shapes import (
    at_least_float32,
    mean_over_samples,
    require_channels,
    require_same_space,
    voxel_counts,
)
from voxseed.types import Shape3

_Backend = Callable[[Tensor, Tensor, Tensor, Tensor, Offsets], tuple[Tensor, Tensor, Tensor]]


@register_loss("crf")
class MultiViewCRFLoss(nn.Module):
    """Pairs of like voxels with unlike labels, per valid voxel, mean over views and then over samples.

    Zhai et al. 2023 (PA-Seg), Eq. 6 to 8: 1/V sum_v 1/N sum_i sum_{j in W_v(i)} w m_i m_j K_ij (1 - sum_c p_ic p_jc)
    with K_ij = exp(-|r_i - r_j|^2 / (2 sigma_r^2) - |x_i - x_j|^2 / (2 sigma_x^2)), m = 1 on the N valid voxels and
    w = 1/2, so that for two classes it is Eq. 7 per voxel. Samples without a valid voxel are left out of the mean.

    For the papers' coarse grid apply `to_coarse_grid` to the logits first.

    Args:
        radius: window radius in voxels, one for all axes or one per axis; 5 gives 11 x 11.
        sigma_r_voxels: spatial bandwidth, in voxels of the given grid.
        views: some of "axial" (I, J), "coronal" (I, K), "sagittal" (J, K).
        normalised: divide by the sum of K instead of N: the weighted share of unlike pairs, in [0, 1], which makes
            the weight of this loss comparable between images and bandwidths. `pair_weight` cancels then.
        pair_weight: w; the paper's released program has 1.

    Forward args:
        probabilities: (B, C, I, J, K), summing to 1 over C.
        image: (B, M, I, J, K), M channels, z-scored per case; gets no gradient.
        valid: (B, 1, I, J, K), bool; pairs with a voxel outside count nothing.
        sigma_x: intensity bandwidth in units of the image, one for all samples or one each (B,).

    Returns:
        Scalar >= 0; 0 where all voxels have one label.

    Raises:
        ShapeError: if the tensors do not fit together.

    Example:
        >>> loss = partial_loss + MultiViewCRFLoss()(logits.softmax(dim=1), image, image[:, :1] != 0)
    """

    def __init__(
        self,
        radius: int | Shape3 = 5,
        sigma_r_voxels: float = 6.0,
        views: tuple[View, ...] = VIEWS,
        normalised: bool = False,
        pair_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.window = Window((radius,) * 3 if isinstance(radius, int) else radius, sigma_r_voxels, views)
        self.normalised = normalised
        self.pair_weight = pair_weight

    def forward(self, probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: float | Tensor = 0.1) -> Tensor:
        energy, weight = crf_energy(probabilities, image, valid, sigma_x, self.window)
        if self.normalised:
            return mean_over_samples(2 * energy / weight.clamp(min=torch.finfo(weight.dtype).tiny), weight > 0)
        count = voxel_counts(valid).squeeze(1)
        per_voxel = 2 * self.pair_weight * energy / (len(self.window.views) * count.clamp(min=1))
        return mean_over_samples(per_voxel, count > 0)


def crf_energy(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: float | Tensor, window: Window
) -> tuple[Tensor, Tensor]:
    """Energy and weight of all pairs, summed over views; value and gradient come from one pass.

    Args:
        probabilities, image, valid, sigma_x: see `MultiViewCRFLoss`.

    Returns:
        energy: (B,), 1/2 sum_v sum_i sum_j m_i m_j K_ij (1 - sum_c p_ic p_jc).
        weight: (B,), sum_v sum_i sum_j m_i m_j K_ij; without gradient.

    Raises:
        ShapeError: if the tensors do not fit together.
    """
    arguments = _checked(probabilities, image, valid, sigma_x)
    energy, weight = _Energy.apply(*arguments, window_offsets(window))
    return energy, weight


@torch.no_grad()
def crf_message(probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: float | Tensor, window: Window) -> Tensor:
    """What every voxel hears from its neighbours, as mean-field inference needs it: (B, C, I, J, K).

    Sum over views and over j of m_i m_j K_ij p_jc, without gradient; 0 on invalid voxels. Arguments and errors as in
    `crf_energy`, but probabilities need not be those of a network.
    """
    arguments = _checked(probabilities, image, valid, sigma_x)
    return _backend(arguments[0])(*arguments, window_offsets(window))[0]


class _Energy(torch.autograd.Function):
    """The forward pass leaves the message, which is the gradient but for its sign and scale.

    The first backward pass hands it on instead of copying it; only if the graph is kept and walked again, it is
    computed again.
    """

    @staticmethod
    def forward(
        ctx: Any, probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: Tensor, offsets: Offsets
    ) -> tuple[Tensor, Tensor]:
        message, energy, weight = _backend(probabilities)(probabilities, image, valid, sigma_x, offsets)
        energy, weight = energy.to(probabilities.dtype), weight.to(probabilities.dtype)
        ctx.save_for_backward(probabilities, image, valid, sigma_x)
        ctx.offsets, ctx.message = offsets, message
        ctx.mark_non_differentiable(weight)
        return energy, weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, energy_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        message, ctx.message = ctx.message, None
        if message is None:
            probabilities, image, valid, sigma_x = ctx.saved_tensors
            message = _backend(probabilities)(probabilities, image, valid, sigma_x, ctx.offsets)[0]
        return message.mul_(-energy_gradient.view(-1, 1, 1, 1, 1)), None, None, None, None


def _backend(probabilities: Tensor) -> _Backend:
    """The fastest implementation for this device and type."""
    if probabilities.dtype == torch.float32 and probabilities.device.type == "cpu":
        return crf_cpu.pairwise_messages
    if probabilities.dtype == torch.float32 and probabilities.device.type == "cuda" and find_spec("triton"):
        from voxseed.losses.kernels import crf_triton  # not installed everywhere

        return crf_triton.pairwise_messages
    return crf_torch.pairwise_messages


def _checked(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: float | Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    require_same_space(probabilities=probabilities, image=image, valid=valid)
    require_channels(1, valid=valid)
    probabilities = at_least_float32(probabilities)
    sigma = torch.as_tensor(sigma_x, dtype=probabilities.dtype, device=probabilities.device)
    image = image.detach().to(probabilities.dtype)
    return probabilities, image, valid.bool(), sigma.expand(len(probabilities))
