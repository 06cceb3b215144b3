"""Multi-view CRF in plain PyTorch: any device, any floating type. Two volumes per class and a few more at a time."""

import torch
from torch import Tensor

from voxseed.losses.crf_window import Offsets

_Slices = tuple[slice, ...]


def pairwise_messages(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: Tensor, offsets: Offsets
) -> tuple[Tensor, Tensor, Tensor]:
    """See `crf_cpu.pairwise_messages`."""
    masked = probabilities * valid
    message = torch.zeros_like(masked)
    precision = (0.5 / sigma_x.square()).view(-1, 1, 1, 1, 1)
    half = len(offsets.steps) // 2
    # The kernel is symmetric: every pair is computed once and sent both ways.
    for step, log_weight in zip(offsets.steps[half:].tolist(), offsets.log_weights[half:].tolist(), strict=True):
        here, there = _shifted(step)
        difference = (image[here] - image[there]).square().sum(dim=1, keepdim=True)
        weight = torch.exp(log_weight - precision * difference)
        message[here] += weight * masked[there]
        message[there] += weight * masked[here]
    message *= valid
    total = message.sum(dim=1, keepdim=True)
    energy = 0.5 * (masked * (total - message)).sum(dim=(1, 2, 3, 4), dtype=torch.float64)
    return message, energy, total.sum(dim=(1, 2, 3, 4), dtype=torch.float64)


def _shifted(step: list[int]) -> tuple[_Slices, _Slices]:
    """Slices of the voxels that have a partner at `step`, and of these partners."""
    here = [slice(max(0, -d), -d if d > 0 else None) for d in step]
    there = [slice(max(0, d), d if d < 0 else None) for d in step]
    everything = (slice(None), slice(None))
    return (*everything, *here), (*everything, *there)
