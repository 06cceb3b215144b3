"""Exact geodesic distance on the 26-neighbour graph of a volume.

A bucket queue in the manner of Dial and of delta-stepping: voxels wait in buckets of nearly equal distance, and a
voxel whose distance falls later on, even within the bucket being emptied, is queued again. That makes the result
independent of the bucket width, which is only chosen for speed: at the end no step of the graph can shorten anything,
so the distance equals Dijkstra's up to rounding in float32.
"""

from typing import Final, Literal

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxseed.errors import ShapeError
from voxseed.types import BoolArray, FloatArray, Shape3, Spacing

Combine = Literal["sum", "quadrature"]

_OFFSETS: Final = np.array(
    [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) != (0, 0, 0)]
)
_NEIGHBOURS: Final = 26
_BUCKETS: Final = 256  # a power of two
_BLOCKED: Final = -1.0
"""Distance of voxels that cannot be entered: nothing is shorter, so that no step into them is ever taken."""
_NONE: Final = -1


def geodesic_distance(
    image: FloatArray,
    seeds: BoolArray,
    valid: BoolArray,
    spacing_mm: Spacing,
    *,
    gradient_weight: float,
    length_scale_mm: float,
    intensity_scale: ArrayLike = 1.0,
    combine: Combine = "sum",
) -> NDArray[np.float32]:
    """Length of the cheapest path from the nearest seed to every voxel.

    A step between neighbours a and b (26-neighbourhood), ℓ mm apart, costs (1 − λ)·ℓ/ℓ₀ and λ·‖(x_a − x_b)/s‖, added
    ("sum") or added in quadrature (square root of the sum of squares). λ = 1 is Eq. 1 of Zhai et al. 2023 (PA-Seg),
    λ = 0 is Euclidean up to the directions that the graph has. Releases the GIL.

    Args:
        image: (M, I, J, K), M channels, finite.
        seeds: (I, J, K); where the distance is 0. Seeds that are not valid count for nothing.
        valid: (I, J, K); other voxels cannot be crossed.
        spacing_mm: distance between voxel centres along each axis.
        gradient_weight: λ in [0, 1].
        length_scale_mm: ℓ₀ > 0.
        intensity_scale: s > 0, one for all channels or (M,).
        combine: how the two terms are put together.

    Returns:
        (I, J, K) float32, inf where no path leads.

    Raises:
        ShapeError: if image, seeds and valid are not on one grid.
    """
    if image.ndim != 4 or image.shape[1:] != seeds.shape or seeds.shape != valid.shape:
        raise ShapeError(
            f"geodesic_distance: image must be (M, I, J, K) and seeds and valid (I, J, K), "
            f"found {image.shape}, {seeds.shape} and {valid.shape}."
        )
    nodes = _padded_nodes(image, seeds, valid, gradient_weight / np.asarray(intensity_scale, dtype=np.float64))
    padded: Shape3 = nodes.shape[:3]
    lengths = np.linalg.norm(_OFFSETS * np.asarray(spacing_mm), axis=1) * ((1 - gradient_weight) / length_scale_mm)
    linear, squared = (lengths, np.zeros_like(lengths)) if combine == "sum" else (np.zeros_like(lengths), lengths**2)
    rows = nodes.reshape(-1, nodes.shape[-1])
    _relax_until_shortest(
        rows,
        (_OFFSETS @ np.array([padded[1] * padded[2], padded[2], 1])).astype(np.uint64),
        linear.astype(np.float32),
        squared.astype(np.float32),
        np.flatnonzero(rows[:, 0] == 0).astype(np.int64),
        1 / _bucket_width(nodes, lengths),
        np.full((len(rows), 2), _NONE, dtype=np.int32),
        np.full(len(rows), _NONE, dtype=np.int16),
    )
    distance = nodes[1:-1, 1:-1, 1:-1, 0].copy()
    distance[~valid] = np.inf
    return distance


def _padded_nodes(image: FloatArray, seeds: BoolArray, valid: BoolArray, weights: FloatArray) -> NDArray[np.float32]:
    """(I+2, J+2, K+2, 1+M): distance so far and weighted channels side by side, with a blocked border all round."""
    shape = tuple(size + 2 for size in valid.shape)
    nodes = np.zeros((*shape, 1 + len(image)), dtype=np.float32)
    nodes[..., 0] = _BLOCKED
    inner = nodes[1:-1, 1:-1, 1:-1]
    inner[..., 0] = np.where(valid, np.where(seeds, 0.0, np.inf), _BLOCKED)
    inner[..., 1:] = np.moveaxis(image, 0, -1) * weights
    return nodes


def _bucket_width(nodes: NDArray[np.float32], lengths: FloatArray) -> float:
    """A quarter of a typical step: narrower gains nothing, wider queues voxels more often (measured)."""
    differences = np.linalg.norm(np.diff(nodes[1:-1:2, 1:-1:2, 1:-1, 1:], axis=2), axis=-1)
    typical = float(np.median(differences)) if differences.size else 0.0
    width = (typical + float(lengths.min())) / 4
    return width if width > 0 else 1.0


# Indices into nodes are unsigned, because numba otherwise tests each for being negative. The queue is written out
# rather than put into helpers, because numba then counts references to five arrays at each call: twice the time.
@numba.njit(nogil=True, cache=True)
def _relax_until_shortest(
    nodes: NDArray[np.float32],
    offsets: NDArray[np.uint64],
    linear: NDArray[np.float32],
    squared: NDArray[np.float32],
    queue: NDArray[np.int64],
    buckets_per_unit: float,
    links: NDArray[np.int32],
    bucket_of: NDArray[np.int16],
) -> None:
    """Lower the distances nodes[:, 0] in place until no step lowers any.

    Args:
        nodes: (N, 1+M) float32.
        offsets: (26,) uint64, from a voxel to its neighbours (wrapping round for negative ones).
        linear, squared: (26,) float32; a step costs linear + √(squared + ‖Δx‖²).
        queue: (S,) int64, voxels of distance 0.
        links: (N, 2) int32, previous and next voxel in the same bucket; all -1.
        bucket_of: (N,) int16, all -1; buckets are used round and round.
    """
    first = np.full(_BUCKETS, _NONE, np.int32)
    last = np.full(_BUCKETS, _NONE, np.int32)
    for index in range(len(queue)):
        bucket_of[queue[index]] = 0
        links[queue[index], 0] = queue[index - 1] if index > 0 else _NONE
        links[queue[index], 1] = queue[index + 1] if index + 1 < len(queue) else _NONE
        first[0] = queue[0]
        last[0] = queue[-1]
    waiting = len(queue)
    better = np.empty(_NEIGHBOURS, np.uint64)
    contrasts = np.empty(_NEIGHBOURS, np.float32)
    current = 0
    while waiting > 0:
        voxel = first[current & (_BUCKETS - 1)]
        if voxel < 0:
            current += 1
            continue
        following = links[voxel, 1]
        first[current & (_BUCKETS - 1)] = following
        if following < 0:
            last[current & (_BUCKETS - 1)] = _NONE
        else:
            links[following, 0] = _NONE
        bucket_of[voxel] = _NONE
        waiting -= 1

        distance = nodes[np.uint64(voxel), np.uint64(0)]
        for index in range(_shortened(nodes, np.uint64(voxel), distance, offsets, linear, squared, better, contrasts)):
            neighbour = np.uint64(voxel) + offsets[better[index]]
            shorter = distance + (linear[better[index]] + np.sqrt(contrasts[index]))
            if shorter >= nodes[neighbour, np.uint64(0)]:  # equal after rounding
                continue
            nodes[neighbour, np.uint64(0)] = shorter
            # What lies beyond the last bucket waits in it: out of order, which costs time but not exactness.
            bucket = int(shorter * buckets_per_unit)
            bucket = min(max(bucket, current), current + _BUCKETS - 1) & (_BUCKETS - 1)
            old = bucket_of[neighbour]
            if old == bucket:
                continue
            if old < 0:
                waiting += 1
            else:
                previous = links[neighbour, 0]
                following = links[neighbour, 1]
                if previous < 0:
                    first[old] = following
                else:
                    links[previous, 1] = following
                if following < 0:
                    last[old] = previous
                else:
                    links[following, 0] = previous
            bucket_of[neighbour] = bucket
            end = last[bucket]
            links[neighbour, 0] = end
            links[neighbour, 1] = _NONE
            if end < 0:
                first[bucket] = np.int32(neighbour)
            else:
                links[end, 1] = np.int32(neighbour)
            last[bucket] = np.int32(neighbour)


@numba.njit(nogil=True, cache=True, inline="always")
def _shortened(
    nodes: NDArray[np.float32],
    voxel: np.uint64,
    distance: np.float32,
    offsets: NDArray[np.uint64],
    linear: NDArray[np.float32],
    squared: NDArray[np.float32],
    better: NDArray[np.uint64],
    contrasts: NDArray[np.float32],
) -> np.uint64:
    """The steps from `voxel` that shorten a distance, as `better` directions and squared `contrasts`; their number.

    Without branches: which of 26 neighbours come nearer is unpredictable, and mispredictions cost most of the time.
    """
    for direction in range(_NEIGHBOURS):
        contrasts[direction] = squared[direction]
    for channel in range(np.uint64(1), np.uint64(nodes.shape[1])):
        for direction in range(_NEIGHBOURS):
            difference = nodes[voxel + offsets[direction], channel] - nodes[voxel, channel]
            contrasts[direction] += difference * difference
    found = np.uint64(0)
    for direction in range(_NEIGHBOURS):
        room = nodes[voxel + offsets[direction], np.uint64(0)] - distance - linear[direction]
        contrast = contrasts[direction]
        better[found] = direction
        contrasts[found] = contrast
        found += np.uint64((room > 0) & (room * room > contrast))
    return found
