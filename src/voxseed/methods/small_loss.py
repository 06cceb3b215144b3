"""Small losses: labels that a network finds easy are less likely to be wrong."""

import torch
import torch.nn.functional as F
from torch import Tensor

from voxseed.types import IGNORE


def kept_share(fraction: float, noise_share: float, ramp_fraction: float) -> float:
    """Share of the labels that are kept: falls linearly from 1 to 1 - noise_share, then stays (Han et al. 2018).

    Args:
        fraction: of the stage that is done.
        noise_share: tau, of the labels that are taken to be wrong.
        ramp_fraction: of the stage in which the share falls; 0 for at once.
    """
    ramp = min(fraction / ramp_fraction, 1.0) if ramp_fraction > 0 else 1.0
    return 1 - noise_share * ramp


@torch.no_grad()
def small_loss_voxels(logits: Tensor, label: Tensor, candidates: Tensor, share: float) -> Tensor:
    """Candidates of each sample whose cross-entropy is among the smallest: (B, 1, I, J, K), bool.

    Args:
        logits: (B, C, I, J, K).
        label: (B, 1, I, J, K), class indices; IGNORE where there is none.
        candidates: (B, 1, I, J, K), bool, with a label.
        share: of the candidates that are taken, in [0, 1]; all that have the last one's loss are taken with it.
    """
    losses = F.cross_entropy(logits.float(), label.squeeze(1), ignore_index=IGNORE, reduction="none").unsqueeze(1)
    kept = torch.zeros_like(candidates)
    for sample, chosen in enumerate(candidates):
        values = losses[sample][chosen]
        count = round(share * len(values))
        if count:
            kept[sample] = chosen & (losses[sample] <= values.kthvalue(count).values)
    return kept
