"""Multi-view CRF on a CUDA device: one fused kernel in Triton, value and gradient from one pass.

Probabilities and image are copied with zeros of the window's radius around them. A step within the window is then one
constant shift in memory, and partners outside the volume, like invalid ones, have zero probability and count nothing.
Every voxel gathers from all its partners: that computes each pair twice, but needs no atomic additions, so the result
is the same every time. Nothing of size window x volume is stored.
"""

from math import e as euler
from math import log2
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from voxseed.losses.crf_window import Offsets

_BLOCK: Final = 256
"""Voxels per program."""


def pairwise_messages(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: Tensor, offsets: Offsets
) -> tuple[Tensor, Tensor, Tensor]:
    """See `crf_cpu.pairwise_messages`; tensors on one CUDA device, float32."""
    samples, classes, *shape = probabilities.shape
    radius = np.abs(offsets.steps).max(axis=0).tolist()
    margin = [radius[axis] for axis in (2, 2, 1, 1, 0, 0)]
    p = F.pad(probabilities.detach() * valid, margin)
    x = F.pad(image.detach(), margin)
    pitch = (p.shape[3] * p.shape[4], p.shape[4])
    device = p.device
    shifts = torch.from_numpy(offsets.steps @ np.array([*pitch, 1])).to(device, torch.int32)
    exponents = torch.from_numpy(offsets.log_weights * log2(euler)).to(device, torch.float32)
    precision = (log2(euler) / 2 / sigma_x.double().square()).to(device, torch.float32)
    message = torch.empty(probabilities.shape, dtype=torch.float32, device=device)
    blocks = triton.cdiv(shape[0] * shape[1] * shape[2], _BLOCK)
    sums = torch.empty((samples, 2, blocks), dtype=torch.float32, device=device)
    _gather[(blocks, samples)](
        p,
        x,
        valid.contiguous(),
        message,
        sums,
        shifts,
        exponents,
        precision,
        len(shifts),
        *shape,
        *radius,
        *pitch,
        p[0, 0].numel(),
        classes,
        image.shape[1],
        triton.next_power_of_2(classes),
        triton.next_power_of_2(image.shape[1]),
        _BLOCK,
    )
    energy, weight = sums.sum(dim=2, dtype=torch.float64).unbind(dim=1)
    return message, 0.5 * energy, weight


@triton.jit
def _gather(  # type: ignore[no-untyped-def]  # pointers and numbers, which Triton types by what it is given
    p_ptr,
    x_ptr,
    valid_ptr,
    message_ptr,
    sums_ptr,
    shifts_ptr,
    exponents_ptr,
    precision_ptr,
    partners,
    depth,
    rows,
    columns,
    margin_i,
    margin_j,
    margin_k,
    pitch_i,
    pitch_j,
    padded_voxels,
    classes: tl.constexpr,
    channels: tl.constexpr,
    class_lanes: tl.constexpr,
    channel_lanes: tl.constexpr,
    block: tl.constexpr,
):
    """One block of voxels of one sample: their messages, and their sums of energy and weight.

    Lanes are the next power of two, as Triton's blocks must be; those beyond the last class or channel load zeros.
    """
    program, sample = tl.program_id(0), tl.program_id(1)
    voxels = depth * rows * columns
    voxel = program * block + tl.arange(0, block)
    exists = voxel < voxels
    i, j, k = voxel // (rows * columns), voxel // columns % rows, voxel % columns
    here = (i + margin_i) * pitch_i + (j + margin_j) * pitch_j + k + margin_k

    c = tl.arange(0, class_lanes)[:, None]
    m = tl.arange(0, channel_lanes)[:, None]
    p_here = p_ptr + (sample * classes + c).to(tl.int64) * padded_voxels + here[None, :]
    x_here = x_ptr + (sample * channels + m).to(tl.int64) * padded_voxels + here[None, :]
    p_mask = (c < classes) & exists[None, :]
    x_mask = (m < channels) & exists[None, :]
    own_p = tl.load(p_here, mask=p_mask, other=0.0)
    own_x = tl.load(x_here, mask=x_mask, other=0.0)
    precision = tl.load(precision_ptr + sample)

    gathered = tl.zeros((class_lanes, block), dtype=tl.float32)
    for n in range(partners):
        shift = tl.load(shifts_ptr + n)
        difference = tl.load(x_here + shift, mask=x_mask, other=0.0) - own_x
        contrast = tl.sum(difference * difference, axis=0)
        weight = tl.exp2(tl.load(exponents_ptr + n) - precision * contrast)
        gathered += weight[None, :] * tl.load(p_here + shift, mask=p_mask, other=0.0)

    is_valid = tl.load(valid_ptr + sample.to(tl.int64) * voxels + voxel, mask=exists, other=0) != 0
    gathered = tl.where(is_valid[None, :], gathered, 0.0)
    target = message_ptr + (sample * classes + c).to(tl.int64) * voxels + voxel[None, :]
    tl.store(target, gathered, mask=p_mask)
    total = tl.sum(gathered, axis=0)
    energy = tl.sum(own_p * (total[None, :] - gathered), axis=0)
    blocks = tl.num_programs(0)
    tl.store(sums_ptr + sample * 2 * blocks + program, tl.sum(energy, axis=0))
    tl.store(sums_ptr + (sample * 2 + 1) * blocks + program, tl.sum(total, axis=0))
