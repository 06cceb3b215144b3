"""Multi-view CRF on a CPU: one pass over all pairs, compiled, in as many threads as PyTorch uses.

A slab of slices is copied with zero probability around every slice and behind every row. A step within the window
is then one constant shift in memory, partners outside the volume weigh nothing, and the inner loops are long, without
branches, and vectorised. Every voxel gathers from all its partners: that computes each pair twice but needs no order
among threads, so the result does not depend on their number. Nothing of size window x volume is stored.
"""

from concurrent.futures import ThreadPoolExecutor
from math import e, log2
from typing import Final

import numpy as np
import torch
from numba import njit
from torch import Tensor

from voxseed.losses.crf_window import Offsets
from voxseed.types import BoolArray, FloatArray

_SLAB: Final = 3
"""Slices per task: few, because every thread holds a slab and its window's neighbours."""
_CHUNK: Final = 512
"""Voxels per inner loop: what they need stays in the first-level cache."""
_compiled = njit(cache=True, nogil=True, fastmath=True)
_inlined = njit(cache=True, nogil=True, fastmath=True, inline="always")


def pairwise_messages(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: Tensor, offsets: Offsets
) -> tuple[Tensor, Tensor, Tensor]:
    """Message, energy and total weight of the multi-view CRF, with K over all views at once.

    Args:
        probabilities: (B, C, I, J, K), float32, summing to 1 over C.
        image: (B, M, I, J, K), float32.
        valid: (B, 1, I, J, K), bool.
        sigma_x: (B,), > 0.

    Returns:
        message: (B, C, I, J, K), sum over j of m_i m_j K_ij p_jc. Its negative is the gradient of the energy.
        energy: (B,), float64, half the sum over i and j of m_i m_j K_ij (1 - sum over c of p_ic p_jc).
        weight: (B,), float64, sum over i and j of m_i m_j K_ij.
    """
    message = torch.empty(probabilities.shape, dtype=torch.float32)
    samples, _, slices = probabilities.shape[:3]
    sums = np.zeros((samples, 2, slices))
    arrays = [tensor.detach().contiguous().numpy() for tensor in (probabilities, image, valid)]
    precision = (log2(e) / 2 / sigma_x.double().square()).numpy().astype(np.float32)
    exponents = (offsets.log_weights * log2(e)).astype(np.float32)
    radius = np.abs(offsets.steps).max(axis=0)

    def run(task: tuple[int, int]) -> None:
        sample, start = task
        p, x, m = (array[sample] for array in arrays)
        stop = min(start + _SLAB, slices)
        out = message.numpy()[sample]
        _slab(p, x, m[0], offsets.steps, exponents, precision[sample], radius, start, stop, out, sums[sample])

    tasks = [(sample, start) for sample in range(samples) for start in range(0, slices, _SLAB)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(run, tasks))
    energy, weight = torch.from_numpy(sums.sum(axis=2)).unbind(dim=1)
    return message, 0.5 * energy, weight


@_compiled
def _slab(
    p: FloatArray,
    x: FloatArray,
    valid: BoolArray,
    steps: np.ndarray,
    exponents: FloatArray,
    precision: np.float32,
    radius: np.ndarray,
    start: int,
    stop: int,
    message: FloatArray,
    sums: FloatArray,
) -> None:
    """Slices `start` to `stop` of one sample: fills their messages (C, I, J, K) and the two sums (2, I)."""
    depth, rows, columns = valid.shape
    pitch = columns + radius[2]
    margin = radius[1] * pitch + radius[2]
    chunks = (rows * pitch + _CHUNK - 1) // _CHUNK
    first = max(start - radius[0], 0)
    last = min(stop + radius[0], depth)
    padded_p = np.zeros((last - first, len(p), chunks * _CHUNK + 2 * margin), np.float32)
    padded_x = np.zeros((last - first, len(x), chunks * _CHUNK + 2 * margin), np.float32)
    occupied = np.zeros((last - first, chunks), np.bool_)
    for i in range(first, last):
        _pad(p[:, i], x[:, i], valid[i], pitch, margin, padded_p[i - first], padded_x[i - first], occupied[i - first])
    gathered = np.empty((len(p), chunks * _CHUNK), np.float32)
    shifts = steps[:, 1] * pitch + steps[:, 2]
    for i in range(start, stop):
        gathered[:] = 0
        for chunk in range(chunks):
            if occupied[i - first, chunk]:
                here = chunk * _CHUNK
                _gather(padded_p, padded_x, i - first, here, margin, steps, shifts, exponents, precision, gathered)
        _finish(padded_p[i - first], gathered, valid[i], pitch, margin, message[:, i], sums[:, i])


@_compiled
def _pad(
    p: FloatArray,
    x: FloatArray,
    valid: BoolArray,
    pitch: int,
    margin: int,
    padded_p: FloatArray,
    padded_x: FloatArray,
    occupied: BoolArray,
) -> None:
    """Copy one slice's valid voxels into rows of `pitch`, and note which chunks have any."""
    rows, columns = valid.shape
    for j in range(rows):
        for k in range(columns):
            if valid[j, k]:
                at = j * pitch + k
                occupied[at // _CHUNK] = True
                for c in range(len(p)):
                    padded_p[c, margin + at] = p[c, j, k]
                for c in range(len(x)):
                    padded_x[c, margin + at] = x[c, j, k]


@_compiled
def _gather(
    p: FloatArray,
    x: FloatArray,
    own: int,
    here: int,
    margin: int,
    steps: np.ndarray,
    shifts: np.ndarray,
    exponents: FloatArray,
    precision: np.float32,
    gathered: FloatArray,
) -> None:
    """Add what the chunk of slice `own` that begins at `here` receives from all partners to `gathered` (C, voxels)."""
    weight = np.empty(_CHUNK, np.float32)
    for n in range(len(shifts)):
        other = own + steps[n, 0]
        if other < 0 or other >= len(p):
            continue
        there = margin + here + shifts[n]
        # Plain views, so that the compiler sees indices that cannot wrap around.
        weight[:] = 0
        for c in range(x.shape[1]):
            own_x, other_x = x[own, c, margin + here : margin + here + _CHUNK], x[other, c, there : there + _CHUNK]
            for t in range(_CHUNK):
                difference = own_x[t] - other_x[t]
                weight[t] += difference * difference
        exponent = exponents[n]
        for t in range(_CHUNK):
            weight[t] = _exp2(exponent - precision * weight[t])
        for c in range(p.shape[1]):
            other_p, received = p[other, c, there : there + _CHUNK], gathered[c, here : here + _CHUNK]
            for t in range(_CHUNK):
                received[t] += weight[t] * other_p[t]


@_compiled
def _finish(
    padded_p: FloatArray,
    gathered: FloatArray,
    valid: BoolArray,
    pitch: int,
    margin: int,
    message: FloatArray,
    sums: FloatArray,
) -> None:
    """Write one slice's message, and its sums of energy and weight."""
    rows, columns = valid.shape
    energy = weight = np.float64(0)
    for j in range(rows):
        for k in range(columns):
            at = j * pitch + k
            total = np.float32(0)
            for c in range(len(message)):
                message[c, j, k] = gathered[c, at] if valid[j, k] else np.float32(0)
                total += message[c, j, k]
            weight += total
            for c in range(len(message)):
                energy += padded_p[c, margin + at] * (total - message[c, j, k])
    sums[0], sums[1] = energy, weight


@_inlined
def _exp2(y: np.float32) -> np.float32:
    """2 ** y for y <= some tens, within 3e-7 relative; at least 2 ** -126. Compiles to vector instructions."""
    bounded = max(y, np.float32(-126))
    whole = np.floor(bounded + np.float32(0.5))
    part = bounded - whole
    # Minimax in relative error on [-1/2, 1/2].
    power = np.float32(1.3276461e-3)
    power = power * part + np.float32(9.6755417e-3)
    power = power * part + np.float32(5.5507133e-2)
    power = power * part + np.float32(2.4022120e-1)
    power = power * part + np.float32(6.9314697e-1)
    power = power * part + np.float32(1.0000001)
    exponent_bits = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23))
    return power * exponent_bits.view(np.float32)
