"""Resampling between voxel grids that cover the same box of space, edge to edge.

An output voxel's centre lies where it lies in space: voxel o of n_out has its centre at input index
(o + 1/2) * n_in / n_out - 1/2, so nothing is shifted by half a voxel. Everything is separable: one small matrix per
axis. Intensities and probabilities are interpolated linearly; where the grid gets coarser, the interpolated line is
averaged over a window around the centre, because detail that the coarser grid cannot hold would otherwise turn up as
patterns that are not in the image. Labels and masks follow the share of each output voxel's volume.
"""

from collections.abc import Callable, Iterator

import numpy as np

from voxseed.errors import ShapeError
from voxseed.types import IGNORE, BoolArray, FloatArray, LabelArray, Shape3, Spacing

_SLAB_VOXELS = 2**22
_MAJORITY = 0.5 + 1e-5
"""A tie is no majority, and rounding does not break it."""


def resampled_shape(shape: Shape3, spacing_mm: Spacing, target_spacing_mm: Spacing) -> Shape3:
    """Voxels that cover the same extent at about the target spacing; at least one along each axis."""
    extents = zip(shape, spacing_mm, target_spacing_mm, strict=True)
    return tuple(max(1, round(n * old / new)) for n, old, new in extents)  # type: ignore[return-value]


def resampled_affine(affine: FloatArray, shape: Shape3, target_shape: Shape3) -> FloatArray:
    """Affine of a grid of `target_shape` voxels that covers the same box of space."""
    steps = np.array(shape) / np.array(target_shape)
    to_input_index = np.diag([*steps, 1.0])
    to_input_index[:3, 3] = steps / 2 - 0.5
    return affine @ to_input_index


def resampled_extent(start: int, stop: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Voxels of an axis with `n_out` voxels whose centres lie in those from `start` up to `stop` of `n_in`.

    At least one: that with the middle, where there is none. May lie beyond the axis, as the given extent may.
    """
    first, last = (-((n_in - 2 * edge * n_out) // (2 * n_in)) for edge in (start, stop))
    if last > first:
        return first, last
    middle = (start + stop) * n_out // (2 * n_in)
    return middle, middle + 1


def resample(volume: np.ndarray, shape: Shape3) -> FloatArray:
    """Linear interpolation, averaged where the grid gets coarser; beyond the outermost centres values are repeated.

    Args:
        volume: (I, J, K), intensities or probabilities.
        shape: voxels of the result.

    Returns:
        float32.
    """
    _require_3d(volume)
    if volume.shape == shape:
        return volume.astype(np.float32)
    matrices = _matrices(linear_matrix, volume.shape, shape)
    result = np.empty(shape, dtype=np.float32)
    for rows in _slabs(shape):
        result[rows] = _resampled_rows(volume, matrices, rows)
    return result


def resample_mask(mask: BoolArray, shape: Shape3) -> BoolArray:
    """True where more than half of the voxel's volume is."""
    _require_3d(mask)
    if mask.shape == shape:
        return mask
    matrices = _matrices(share_matrix, mask.shape, shape)
    return np.concatenate([_resampled_rows(mask, matrices, rows) > _MAJORITY for rows in _slabs(shape)])


def resample_labels(labels: LabelArray, shape: Shape3) -> LabelArray:
    """Class with the largest share of each voxel's volume; IGNORE unless more than half of it is annotated.

    Args:
        labels: (I, J, K), class indices and IGNORE.
        shape: voxels of the result.

    Returns:
        uint8.
    """
    return _largest_share(labels, shape, share_matrix)


def resample_painted(labels: LabelArray, shape: Shape3) -> LabelArray:
    """As `resample_labels`, but nothing that a person painted gets lost where the grid becomes coarser.

    A slice or a stroke of one voxel is no majority of a coarser voxel. Along an axis that becomes coarser, a voxel is
    annotated if it holds the centre of an annotated one, so that a slice becomes one slice; along the others, if more
    than half of it is. Its class is the one with the largest share among what is annotated.

    Args:
        labels: (I, J, K), class indices and IGNORE.
        shape: voxels of the result.

    Returns:
        uint8.
    """
    return _largest_share(labels, shape, membership_matrix)


def resampled_argmax(probabilities: np.ndarray, shape: Shape3) -> LabelArray:
    """Most probable class of each voxel of another grid, without holding the resampled probabilities.

    Args:
        probabilities: (C, I, J, K).
        shape: voxels of the result.

    Returns:
        uint8; the first class where several are equally probable.
    """
    _require_3d(probabilities[0])
    if probabilities.shape[1:] == shape:
        return np.concatenate([probabilities[:, rows].argmax(axis=0).astype(np.uint8) for rows in _slabs(shape)])
    matrices = _matrices(linear_matrix, probabilities.shape[1:], shape)
    result = np.zeros(shape, dtype=np.uint8)
    for rows in _slabs(shape):
        largest = _resampled_rows(probabilities[0], matrices, rows)
        for index in range(1, len(probabilities)):
            probability = _resampled_rows(probabilities[index], matrices, rows)
            result[rows][probability > largest] = index
            np.maximum(largest, probability, out=largest)
    return result


def linear_matrix(n_in: int, n_out: int) -> FloatArray:
    """Weights (n_out, n_in) that interpolate along one axis; every row sums to 1.

    A coarser axis averages the linear interpolant over a window as wide in standard deviation as the Gaussian of
    scikit-image's `resize` with anti-aliasing, (step - 1) / 2 input voxels. Unlike a Gaussian's, its samples leave a
    linear ramp as it is.
    """
    step = n_in / n_out
    centers = (np.arange(n_out) + 0.5) * step - 0.5
    half_window = max(1e-6, np.sqrt(3) * (step - 1) / 2)
    reach = int(np.ceil(half_window)) + 1
    nearest = np.floor(centers).astype(int)[:, None] + np.arange(-reach, reach + 2)
    ends = centers[:, None] + half_window * np.array([-1.0, 1.0])
    weights = _hat_integral(ends[:, 1:] - nearest) - _hat_integral(ends[:, :1] - nearest)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], np.clip(nearest, 0, n_in - 1)), weights / (2 * half_window))
    return matrix.astype(np.float32)


def share_matrix(n_in: int, n_out: int) -> FloatArray:
    """Share of each output voxel's extent that lies in each input voxel, (n_out, n_in); every row sums to 1."""
    edges_in, edges_out = np.arange(n_in + 1) / n_in, np.arange(n_out + 1)[:, None] / n_out
    overlap = np.minimum(edges_in[1:], edges_out[1:]) - np.maximum(edges_in[:-1], edges_out[:-1])
    return (n_out * np.maximum(overlap, 0)).astype(np.float32)


def membership_matrix(n_in: int, n_out: int) -> FloatArray:
    """1 where an output voxel holds an input voxel's centre, (n_out, n_in); `share_matrix` if it is not coarser."""
    if n_out >= n_in:
        return share_matrix(n_in, n_out)
    holder = ((np.arange(n_in) + 0.5) * n_out / n_in).astype(int)
    return (holder == np.arange(n_out)[:, None]).astype(np.float32)


def _hat_integral(x: FloatArray) -> FloatArray:
    """Integral from minus infinity to x of the linear interpolation kernel max(0, 1 - |t|)."""
    x = np.clip(x, -1.0, 1.0)
    return np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)


def _largest_share(labels: LabelArray, shape: Shape3, counting: Callable[[int, int], FloatArray]) -> LabelArray:
    """Class with the largest share of each voxel; IGNORE unless the annotated voxels that `counting` counts are enough.

    Args:
        counting: gives the matrix along one axis by which annotated voxels are added up.
    """
    _require_3d(labels)
    if labels.shape == shape:
        return labels.astype(np.uint8)
    classes = [int(value) for value in np.unique(labels) if value != IGNORE]
    shares = _matrices(share_matrix, labels.shape, shape)
    counts = _matrices(counting, labels.shape, shape)
    result = np.full(shape, IGNORE, dtype=np.uint8)
    for rows in _slabs(shape):
        largest = np.zeros_like(result[rows], dtype=np.float32)
        for index in classes:
            share = _resampled_rows(labels == index, shares, rows)
            result[rows][share > largest] = index
            np.maximum(largest, share, out=largest)
        result[rows][_resampled_rows(labels != IGNORE, counts, rows) <= _MAJORITY] = IGNORE
    return result


def _matrices(
    weights: Callable[[int, int], FloatArray], shape: tuple[int, ...], target_shape: Shape3
) -> list[FloatArray]:
    return [weights(n_in, n_out) for n_in, n_out in zip(shape, target_shape, strict=True)]


def _slabs(shape: Shape3) -> Iterator[slice]:
    """Rows along the first axis, so that a slab's working memory stays small."""
    thickness = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    for start in range(0, shape[0], thickness):
        yield slice(start, min(start + thickness, shape[0]))


def _resampled_rows(volume: np.ndarray, matrices: list[FloatArray], rows: slice) -> FloatArray:
    along_i, along_j, along_k = matrices
    used = np.flatnonzero(along_i[rows].any(axis=0))
    needed = slice(used[0], used[-1] + 1)
    slab = np.asarray(volume[needed], dtype=np.float32)
    resampled = along_i[rows, needed] @ slab.reshape(len(slab), -1)
    return along_j @ resampled.reshape(-1, *slab.shape[1:]) @ along_k.T


def _require_3d(volume: np.ndarray) -> None:
    if volume.ndim != 3:
        raise ShapeError(f"Expected a volume of shape (I, J, K), found {volume.shape}.")
