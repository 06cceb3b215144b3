"""Dice, ASSD, HD95 and NSD of one 256³ pair, against the PyPI package surface-distance-based-measures.

The peer measures distances between surface elements at voxel corners, weighted by their area, so its values differ a
little from ours by definition; both compute all four metrics from one set of distances.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from voxseed.metrics.pair import pair_metrics
from voxseed.metrics.surface import surface_voxels

SIZE = 256
SPACING_MM = (1.0, 1.0, 1.5)
TOLERANCE_MM = 2.0
REPEATS = 5

Measure = Callable[[np.ndarray, np.ndarray], object]


@dataclass(frozen=True)
class Row:
    """One comparison: seconds are medians, memory is the peak beyond what was in use before."""

    name: str
    ours_seconds: float
    ours_mb: float
    peer_seconds: float
    peer_mb: float

    @property
    def time_ratio(self) -> float:
        """Ours / peer."""
        return self.ours_seconds / self.peer_seconds


def run() -> list[Row]:
    """Measure a typical pair, on one thread and on all cores, and one whose surfaces are far apart."""
    rough, far = rough_pair(), far_pair()
    count = sum(len(surface_voxels(mask)) for mask in rough)
    cases = (
        (f"rough blobs, {count} surface voxels, 1 thread", rough, 1),
        (f"rough blobs, {count} surface voxels, all cores", rough, -1),
        ("ball of 30 in a ball of 90 voxels, all cores", far, -1),
    )
    return [_compare(name, pair, workers) for name, pair, workers in cases]


def rough_pair() -> tuple[np.ndarray, np.ndarray]:
    """Two balls of radius 80 with surfaces that are rough on their own."""
    generator = np.random.default_rng(0)
    distance = _distance_to_centre()

    def blob() -> np.ndarray:
        noise = ndimage.gaussian_filter(generator.standard_normal((SIZE,) * 3, dtype=np.float32), 6)
        return distance < 80 + 3 * noise / noise.std()

    return blob(), blob()


def far_pair() -> tuple[np.ndarray, np.ndarray]:
    """Concentric balls, the worst case of a search tree: many points are equally far."""
    distance = _distance_to_centre()
    return distance < 90, distance < 30


def _compare(name: str, pair: tuple[np.ndarray, np.ndarray], workers: int) -> Row:
    def ours(prediction: np.ndarray, reference: np.ndarray) -> object:
        return pair_metrics(prediction, reference, SPACING_MM, TOLERANCE_MM, workers)

    return Row(name, _seconds(ours, pair), _extra_mb(ours, pair), _seconds(_peer, pair), _extra_mb(_peer, pair))


def _peer(prediction: np.ndarray, reference: np.ndarray) -> object:
    import surface_distance

    distances = surface_distance.compute_surface_distances(reference, prediction, SPACING_MM)
    return (
        surface_distance.compute_dice_coefficient(reference, prediction),
        surface_distance.compute_average_surface_distance(distances),
        surface_distance.compute_robust_hausdorff(distances, 95),
        surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM),
    )


def _seconds(measure: Measure, pair: tuple[np.ndarray, np.ndarray]) -> float:
    def once() -> float:
        start = time.perf_counter()
        measure(*pair)
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(REPEATS))


def _extra_mb(measure: Measure, pair: tuple[np.ndarray, np.ndarray]) -> float:
    """Peak memory beyond the masks, measured in a process of its own."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=_report_extra_mb, args=(measure, pair, queue))
    process.start()
    extra = queue.get()
    process.join()
    return extra


def _report_extra_mb(
    measure: Measure, pair: tuple[np.ndarray, np.ndarray], queue: "multiprocessing.SimpleQueue[float]"
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measure(*pair)
    queue.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def _distance_to_centre() -> np.ndarray:
    axis = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    return np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)


if __name__ == "__main__":
    for row in run():
        print(
            f"{row.name}: {row.ours_seconds:.2f} s, {row.ours_mb:.0f} MB; "
            f"surface-distance {row.peer_seconds:.2f} s, {row.peer_mb:.0f} MB; ratio {row.time_ratio:.2f}"
        )
