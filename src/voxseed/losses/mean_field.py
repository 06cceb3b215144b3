"""Mean-field inference of the multi-view CRF: probabilities that agree with those of like voxels nearby."""

import torch
from torch import Tensor

from voxseed.losses.crf import crf_message
from voxseed.losses.crf_window import Window
from voxseed.losses.shapes import require_same_space


@torch.no_grad()
def mean_field(
    probabilities: Tensor,
    allowed: Tensor,
    image: Tensor,
    valid: Tensor,
    sigma_x: float | Tensor,
    window: Window,
    pair_weight: float,
    iterations: int,
) -> Tensor:
    """Approximate marginals of p(y) ~ exp(-sum_i -log p_i(y_i) - alpha/V sum_v sum_{i<j} K_ij [y_i != y_j]).

    The pairs are those of `MultiViewCRFLoss` (Zhai et al. 2023, Eq. 6 to 8), not divided by the number of voxels. Each
    iteration sets q_ic to p_ic exp(alpha/V sum_v sum_j K_ij q_jc), normalised over the allowed classes
    (Kraehenbuehl and Koltun 2011), for all voxels at once.

    Args:
        probabilities: (B, C, I, J, K), p, of a network.
        allowed: (B, C, I, J, K), bool; other classes get probability 0. At least one everywhere.
        image, valid, sigma_x: see `MultiViewCRFLoss`.
        window: of the CRF.
        pair_weight: alpha.
        iterations: >= 0.

    Returns:
        q, (B, C, I, J, K), summing to 1 over C.

    Raises:
        ShapeError: if the tensors do not fit together.
    """
    require_same_space(probabilities=probabilities, allowed=allowed, image=image, valid=valid)
    tiny = torch.finfo(probabilities.dtype).tiny
    unary = probabilities.clamp(min=tiny).log().masked_fill(~allowed, -torch.inf)
    marginals = unary.softmax(dim=1)
    for _ in range(iterations):
        message = crf_message(marginals, image, valid, sigma_x, window)
        marginals = (unary + pair_weight / len(window.views) * message).softmax(dim=1)
    return marginals
