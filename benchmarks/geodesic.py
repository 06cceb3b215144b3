"""Exact geodesic distance from one voxel, against scipy's Dijkstra and four raster sweeps of FastGeodis 1.0.5.

Noisy images of a ball, lambda 0.8, the step costs of FastGeodis (length in mm plus intensity difference), which four
sweeps approximate; the columns *_error say how far each is from scipy's exact distance (largest relative error).
Seconds are medians; scipy's include building the graph and are taken once, at 64³ only, because the graph of 128³
takes gigabytes. FastGeodis uses two threads, the others one. Peers that are not installed are left out.
"""

import importlib
import statistics
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from voxseed.supervision.geodesic import geodesic_distance

SIZES = (64, 128, 256)
LARGEST_FOR_SCIPY = 64
GRADIENT_WEIGHT = 0.8
SWEEPS = 4
THREADS = 2
REPEATS = 3

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def run() -> list[dict[str, Any]]:
    """One row per size: seconds of each, ratios, and errors where scipy's distance is there to compare with."""
    return [_row(size) for size in SIZES]


def noisy_ball(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image (I, J, K) float32 with noise of 0.3 on a step of 1, and the seed mask: its centre."""
    shape = (size, size, size)
    radius = np.linalg.norm(np.indices(shape) - size / 2, axis=0)
    image = (radius < size / 4) + np.random.default_rng(0).normal(0, 0.3, shape)
    seeds = np.zeros(shape, dtype=bool)
    seeds[size // 2, size // 2, size // 2] = True
    return image.astype(np.float32), seeds


def ours(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Voxseed."""
    return geodesic_distance(
        image[None],
        seeds,
        np.ones_like(seeds),
        (1.0, 1.0, 1.0),
        gradient_weight=GRADIENT_WEIGHT,
        length_scale_mm=1.0,
    )


def fastgeodis(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """FastGeodis on two threads; its seeds are 0 in the mask."""
    import FastGeodis
    import torch

    torch.set_num_threads(THREADS)
    tensors = (torch.from_numpy(array)[None, None] for array in (image, 1 - seeds.astype(np.float32)))
    found = FastGeodis.generalised_geodesic3d(*tensors, [1.0, 1.0, 1.0], 1e10, GRADIENT_WEIGHT, SWEEPS)
    return found[0, 0].numpy()


def scipy_dijkstra(image: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Dijkstra on an explicit graph."""
    numbers = np.arange(image.size).reshape(image.shape)
    rows, columns, costs = [], [], []
    for offset in product((-1, 0, 1), repeat=3):
        if offset <= (0, 0, 0):  # each pair once
            continue
        here = tuple(slice(max(-o, 0), size - max(o, 0)) for o, size in zip(offset, image.shape, strict=True))
        there = tuple(slice(max(o, 0), size - max(-o, 0)) for o, size in zip(offset, image.shape, strict=True))
        length = float(np.linalg.norm(offset))
        rows.append(numbers[here].ravel())
        columns.append(numbers[there].ravel())
        contrast = np.abs(image[here].astype(np.float64) - image[there])
        costs.append(((1 - GRADIENT_WEIGHT) * length + GRADIENT_WEIGHT * contrast).ravel())
    edges = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns)))
    graph = coo_array(edges, shape=(image.size, image.size)).tocsr()
    found = dijkstra(graph, directed=False, indices=np.flatnonzero(seeds), min_only=True)
    return found.reshape(image.shape)


def _row(size: int) -> dict[str, Any]:
    image, seeds = noisy_ball(size)
    row: dict[str, Any] = {"name": f"geodesic distance, {size}³, lambda {GRADIENT_WEIGHT}"}
    row["ours_seconds"], found = _timed(ours, image, seeds, REPEATS)
    exact = None
    if size <= LARGEST_FOR_SCIPY:
        row["scipy_seconds"], exact = _timed(scipy_dijkstra, image, seeds, 1)
        row["ours_error"] = _largest_error(found, exact)
        row["times_faster_than_scipy"] = row["scipy_seconds"] / row["ours_seconds"]
    if _is_installed("FastGeodis"):
        row["fastgeodis_seconds"], approximate = _timed(fastgeodis, image, seeds, REPEATS)
        row["fastgeodis_error"] = _largest_error(approximate, found if exact is None else exact)
        row["times_faster_than_fastgeodis"] = row["fastgeodis_seconds"] / row["ours_seconds"]
    return row


def _timed(distance: Distance, image: np.ndarray, seeds: np.ndarray, repeats: int) -> tuple[float, np.ndarray]:
    """Median seconds after a first call on a small volume, which compiles, and the distance."""
    distance(*noisy_ball(8))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = distance(image, seeds)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), found


def _largest_error(found: np.ndarray, exact: np.ndarray) -> float:
    elsewhere = exact > 0
    return float(np.max(np.abs(found[elsewhere] - exact[elsewhere]) / exact[elsewhere]))


def _is_installed(module: str) -> bool:
    try:
        importlib.import_module("torch")
        importlib.import_module(module)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    for result in run():
        print(result)
