"""Multi-view CRF loss, forward and backward, against the unfold formulation of the papers' programs.

Two classes, radius 5, three views: 64 x 64 x 64 on two threads, and 128 x 128 x 128 where there is a GPU. Memory is
what one call adds, after a warm-up: on a CPU the growth of a process of its own; one volume is one float32 array of the
shape. Ours includes the gradient that the call leaves behind. The floor on a GPU is the time of its exponentials, one
for every pair of voxels, at 16 per clock and multiprocessor.
"""

import multiprocessing
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.device import DEVICE, IS_CUDA, extra_bytes, seconds_of
from voxseed.losses.crf import MultiViewCRFLoss

SIZE = 128 if IS_CUDA else 64
RADIUS = 5
SIGMA_R_VOXELS = 6.0
SIGMA_X = 0.1
THREADS = 2
REPEATS = 5

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def run() -> list[dict[str, Any]]:
    """Seconds, extra memory in volumes, and ratios; on CUDA also the floor."""
    torch.set_num_threads(THREADS)
    _check_that_both_agree()
    where = "CUDA" if IS_CUDA else f"{THREADS} threads"
    row: dict[str, Any] = {"name": f"multi-view CRF loss, {SIZE}³, 2 classes, radius {RADIUS}, {where}"}
    for who, loss in (("ours", MultiViewCRFLoss()), ("unfold", unfold_loss)):
        row[f"{who}_seconds"] = _seconds(loss)
        row[f"{who}_volumes"] = _extra_volumes(loss)
    row["times_faster"] = row["unfold_seconds"] / row["ours_seconds"]
    if IS_CUDA:
        row["floor_seconds"] = _floor_seconds()
    return [row]


def unfold_loss(probabilities: Tensor, image: Tensor, valid: Tensor) -> Tensor:
    """The same loss as `MultiViewCRFLoss()`, with every window unfolded into memory."""
    total = sum(_unfold_view(probabilities, image, valid.to(image.dtype), axis) for axis in (2, 3, 4))
    return total / (3 * valid.sum())


def _unfold_view(probabilities: Tensor, image: Tensor, valid: Tensor, axis: int) -> Tensor:
    def slices(volume: Tensor) -> Tensor:
        """One sample (1, C, I, J, K) as slices across `axis`: (slices, C, rows, columns)."""
        return volume.movedim(axis, 1)[0].contiguous()

    p, x, m = slices(probabilities * valid), slices(image), slices(valid)
    neighbours_p, neighbours_x, neighbours_m = _windows(p), _windows(x), _windows(m)
    kernel = torch.exp(-(x.flatten(2).unsqueeze(2) - neighbours_x).square().sum(dim=1) / (2 * SIGMA_X**2))
    offset = torch.arange(-RADIUS, RADIUS + 1, dtype=image.dtype, device=image.device)
    distance = (offset[:, None].square() + offset.square()).flatten()
    spatial = torch.exp(-distance / (2 * SIGMA_R_VOXELS**2)) * (distance > 0)
    mask = m.flatten(2) * neighbours_m[:, 0]
    agreement = (p.flatten(2).unsqueeze(2) * neighbours_p).sum(dim=1)
    return 0.5 * (spatial[:, None] * kernel * mask * (1 - agreement)).sum()


def _windows(slices: Tensor) -> Tensor:
    """(N, C, rows, columns) -> (N, C, window, voxels)."""
    side = 2 * RADIUS + 1
    unfolded = F.unfold(slices, side, padding=RADIUS)
    return unfolded.view(*slices.shape[:2], side * side, -1)


def _example(size: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, size, size, size, generator=generator)
    image = 0.2 * torch.randn(1, 1, size, size, size, generator=generator)
    valid = torch.ones(1, 1, size, size, size, dtype=torch.bool, device=DEVICE)
    return logits.to(DEVICE).softmax(dim=1).requires_grad_(), image.to(DEVICE), valid


def _check_that_both_agree() -> None:
    probabilities, image, valid = _example(12)
    valid[:, :, :3] = False
    losses = [loss(probabilities, image, valid) for loss in (MultiViewCRFLoss(), unfold_loss)]
    gradients = [torch.autograd.grad(loss, probabilities)[0] for loss in losses]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0.0)
    # Both sum to 1 over classes; up to that constraint the gradients are one.
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-9)


def _seconds(loss: Loss) -> float:
    probabilities, image, valid = _example(SIZE)
    times = [seconds_of(lambda: loss(probabilities, image, valid).backward()) for _ in range(REPEATS + 1)]
    return statistics.median(times[1:])


def _floor_seconds() -> float:
    """Pairs of voxels over the exponentials of a second. An offset along one axis belongs to two views."""
    gpu = torch.cuda.get_device_properties(DEVICE)
    side = 2 * RADIUS + 1
    pairs = SIZE**3 * (3 * side**2 - 3 * side) / 2
    return pairs / (16 * gpu.multi_processor_count * gpu.clock_rate * 1000)


def _extra_volumes(loss: Loss) -> float:
    if IS_CUDA:
        probabilities, image, valid = _example(SIZE)
        return extra_bytes(lambda: loss(probabilities, image, valid).backward()) / (4 * SIZE**3)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_growth, (loss,)) / (4 * SIZE**3)


def _peak_growth(loss: Loss) -> int:
    """Bytes by which resident memory peaks above what the inputs take. Linux only."""
    torch.set_num_threads(THREADS)
    for size in (8, SIZE):
        probabilities, image, valid = _example(size)
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmHWM")
        loss(probabilities, image, valid).backward()
    return _resident("VmHWM") - before


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    for row in run():
        print(row)
