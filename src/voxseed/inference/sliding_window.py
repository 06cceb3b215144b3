"""Prediction of a whole volume in overlapping windows, whose centres count more than their borders."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from voxseed.types import Shape3

Window = tuple[slice, slice, slice]

_SIGMA_SHARE = 1 / 8
_LEAST_WEIGHT = 1e-3


@torch.inference_mode()
def sliding_window(
    predict: Callable[[Tensor], Tensor],
    image: Tensor,
    patch_shape: Shape3,
    overlap: float = 0.5,
    batch_size: int = 1,
    valid: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Weighted mean over the windows of what `predict` says, with MONAI's positions and Gaussian weights.

    A volume smaller than the window is padded with 0 on both sides.

    Args:
        predict: windows (B, M, *patch_shape) → (B, C, *patch_shape), such as probabilities.
        image: (M, I, J, K), on any device.
        patch_shape: voxels of a window.
        overlap: share of a window that the next one covers again, in [0, 1).
        batch_size: windows that are predicted together.
        valid: (I, J, K), bool, on the image's device; windows without any valid voxel are left out. Voxels that no
            window covers are certain background: 1 in the first class, 0 in the others.
        device: where windows are predicted; the image's if not given.

    Returns:
        (C, I, J, K) float32 on the image's device.
    """
    before = [max(0, size - n) // 2 for size, n in zip(patch_shape, image.shape[1:], strict=True)]
    inside = tuple(slice(count, count + n) for count, n in zip(before, image.shape[1:], strict=True))
    padded = _padded(image, patch_shape)
    windows = window_slices(_shape(padded), patch_shape, overlap)
    if valid is not None:
        padded_valid = _padded(valid[None], patch_shape)[0]
        windows = [window for window in windows if padded_valid[window].any()] or windows[:1]
    weights = gaussian_weights(patch_shape).to(image.device)
    weight_sum = torch.zeros(padded.shape[1:], device=image.device)
    total = torch.zeros(0, device=image.device)
    for first in range(0, len(windows), batch_size):
        batch = windows[first : first + batch_size]
        patches = torch.stack([padded[:, *window] for window in batch])
        predictions = predict(patches.to(device or image.device)).to(image.device, torch.float32)
        if not len(total):
            total = torch.zeros(predictions.shape[1], *padded.shape[1:], device=image.device)
        for window, prediction in zip(batch, predictions, strict=True):
            total[:, *window].addcmul_(prediction, weights)
            weight_sum[window].add_(weights)
    uncovered = weight_sum == 0
    total /= weight_sum.masked_fill_(uncovered, 1.0)
    total[0][uncovered] = 1.0
    return total[:, *inside]


def window_slices(shape: Shape3, patch_shape: Shape3, overlap: float) -> list[Window]:
    """Windows that cover a volume at least as large as one; the last along each axis ends with the volume."""
    starts = []
    for n, size in zip(shape, patch_shape, strict=True):
        step = max(1, int(size * (1 - overlap)))
        starts.append([*range(0, n - size, step), n - size])
    return [_window(start, patch_shape) for start in itertools.product(*starts)]


def gaussian_weights(patch_shape: Shape3) -> Tensor:
    """Gaussian around the window's centre with a standard deviation of an eighth of each side, at least 0.001."""
    weights = torch.ones(1)
    for size in patch_shape:
        offset = torch.arange(size) - (size - 1) / 2
        weights = weights[..., None] * torch.exp(-(offset**2) / (2 * (_SIGMA_SHARE * size) ** 2))
    return weights[0].clamp(min=_LEAST_WEIGHT)


def _window(start: tuple[int, ...], patch_shape: Shape3) -> Window:
    i, j, k = (slice(low, low + size) for low, size in zip(start, patch_shape, strict=True))
    return i, j, k


def _padded(image: Tensor, patch_shape: Shape3) -> Tensor:
    """(M, I, J, K) with 0 on both sides, as large as a window at least."""
    padding = []
    for size, n in zip(patch_shape[::-1], image.shape[:0:-1], strict=True):
        missing = max(0, size - n)
        padding += [missing // 2, missing - missing // 2]
    return functional.pad(image, padding) if any(padding) else image


def _shape(image: Tensor) -> Shape3:
    _, i, j, k = image.shape
    return i, j, k
