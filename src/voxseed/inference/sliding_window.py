"""Prediction of a whole volume in overlapping windows, whose centres count more than their borders."""

import itertools
from collections.abc import Callable, Iterator

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
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Weighted mean over the windows of what `predict` says, with MONAI's positions and Gaussian weights.

    A volume smaller than the window is padded with 0 on both sides. Sums are kept for as many rows as a window has;
    beside the result, that is all the memory that it takes.

    Args:
        predict: windows (B, M, *patch_shape) → (B, C, *patch_shape), such as probabilities.
        image: (M, I, J, K), on any device.
        patch_shape: voxels of a window.
        overlap: share of a window that the next one covers again, in [0, 1).
        batch_size: windows that are predicted together.
        valid: (I, J, K), bool, on the image's device; windows without any valid voxel are left out. Voxels that no
            window covers are certain background: 1 in the first class, 0 in the others.
        device: where windows are predicted; the image's if not given.
        dtype: of the result; sums are float32.

    Returns:
        (C, I, J, K) on the image's device.
    """
    before = [max(0, size - n) // 2 for size, n in zip(patch_shape, image.shape[1:], strict=True)]
    inside = tuple(slice(count, count + n) for count, n in zip(before, image.shape[1:], strict=True))
    padded = _padded(image, patch_shape)
    windows = window_slices(_shape(padded), patch_shape, overlap)
    if valid is not None:
        padded_valid = _padded(valid[None], patch_shape)[0]
        windows = [window for window in windows if padded_valid[window].any()] or windows[:1]
    weights = gaussian_weights(patch_shape).to(image.device)
    mean: _RollingMean | None = None
    for rows, group in itertools.groupby(windows, key=lambda window: window[0]):
        for batch in _batches(group, batch_size):
            patches = torch.stack([padded[:, *window] for window in batch])
            predictions = predict(patches.to(device or image.device)).to(image.device, torch.float32)
            mean = mean or _RollingMean(predictions.shape[1], _shape(padded), weights, dtype)
            for window, prediction in zip(batch, predictions, strict=True):
                mean.add(rows.start, window[1:], prediction)
    if mean is None:
        raise RuntimeError("A volume has at least one window.")
    return mean.finish()[:, *inside]


class _RollingMean:
    """Weighted mean of windows that come in the order of their first row; rows that no more window reaches are done.

    Args:
        class_count: C.
        shape: (I, J, K) of the volume.
        weights: of a window's voxels.
        dtype: of the result.
    """

    def __init__(self, class_count: int, shape: Shape3, weights: Tensor, dtype: torch.dtype) -> None:
        device = weights.device
        self._weights = weights
        self._result = torch.zeros(class_count, *shape, dtype=dtype, device=device)
        self._sums = torch.zeros(class_count, len(weights), *shape[1:], device=device)
        self._weight_sums = torch.zeros(len(weights), *shape[1:], device=device)
        self._first = 0

    def add(self, first_row: int, columns: tuple[slice, slice], prediction: Tensor) -> None:
        """A window's prediction (C, *patch_shape)."""
        if first_row > self._first:
            self._move(first_row)
        self._sums[:, :, *columns].addcmul_(prediction, self._weights)
        self._weight_sums[:, *columns].add_(self._weights)

    def finish(self) -> Tensor:
        """The mean (C, I, J, K); certain background where no window was."""
        self._move(self._result.shape[1])
        return self._result

    def _move(self, first_row: int) -> None:
        """Keep the rows before `first_row` as done, and go on there."""
        done = min(first_row - self._first, len(self._weights))
        weight_sums = self._weight_sums[:done]
        uncovered = weight_sums == 0
        means = self._sums[:, :done] / weight_sums.masked_fill(uncovered, 1.0)
        means[0][uncovered] = 1.0
        self._result[:, self._first : self._first + done] = means
        self._result[0, self._first + done : first_row] = 1.0
        for sums in (self._sums.transpose(0, 1), self._weight_sums):
            kept = len(sums) - done
            for start in range(0, kept, done):  # in steps that do not overlap, so that no copy is needed
                count = min(done, kept - start)
                sums[start : start + count] = sums[start + done : start + done + count]
            sums[kept:] = 0
        self._first = first_row


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


def _batches(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
    while batch := list(itertools.islice(windows, size)):
        yield batch


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
