"""Surface distances against a comparison of all pairs, an independent library, and shapes known by hand."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxseed.metrics.surface import SurfaceDistances, surface_distances, surface_voxels
from voxseed.types import Spacing

ANISOTROPIC = (0.7, 1.3, 3.1)


def cube(start: tuple[int, int, int], size: int = 3, shape: tuple[int, int, int] = (12, 12, 12)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, first + size) for first in start)] = True
    return mask


def blob(seed: int, shape: tuple[int, int, int] = (9, 8, 7)) -> np.ndarray:
    """An irregular mask that touches borders and has holes and islands."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    smooth = noise + sum(np.roll(noise, shift, axis) for axis in range(3) for shift in (-1, 1))
    return smooth > 1.5


def brute_surface(mask: np.ndarray) -> np.ndarray:
    """Voxel by voxel and neighbour by neighbour."""

    def is_foreground(place: tuple[int, ...]) -> bool:
        inside = all(0 <= index < size for index, size in zip(place, mask.shape, strict=True))
        return inside and bool(mask[place])

    def on_surface(place: tuple[int, ...]) -> bool:
        steps = [tuple(sign * (axis == moved) for axis in range(3)) for moved in range(3) for sign in (-1, 1)]
        return any(not is_foreground(tuple(np.add(place, step))) for step in steps)

    places = [place for place in itertools.product(*map(range, mask.shape)) if mask[place] and on_surface(place)]
    return np.array(places).reshape(-1, 3)


def brute_distances(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> tuple[np.ndarray, ...]:
    """All pairs of surface voxels; nearest of each row and of each column."""
    predicted, referred = (brute_surface(mask) * np.array(spacing_mm) for mask in (prediction, reference))
    pairs = np.sqrt(((predicted[:, None] - referred[None]) ** 2).sum(axis=2))
    return pairs.min(axis=1), pairs.min(axis=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_equals_a_comparison_of_all_pairs(seed: int, order: str) -> None:
    prediction, reference = (np.asarray(blob(2 * seed + k), order=order) for k in (0, 1))  # type: ignore[call-overload]
    forth, back = brute_distances(prediction, reference, ANISOTROPIC)
    pooled = np.concatenate([forth, back])

    ours = surface_distances(prediction, reference, ANISOTROPIC)

    assert ours.assd_mm == pytest.approx(pooled.mean(), abs=1e-4)
    assert ours.hd95_mm == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)), abs=1e-4)
    for tolerance_mm in (0.0, 0.7, 1.0, 2.5):
        assert ours.nsd(tolerance_mm) == pytest.approx(np.mean(pooled <= tolerance_mm + 1e-9))


@pytest.mark.parametrize("seed", range(4))
def test_surface_is_the_voxels_with_a_background_neighbour(seed: int) -> None:
    mask = blob(seed)
    assert {*map(tuple, surface_voxels(mask))} == {*map(tuple, brute_surface(mask))}


def test_outside_the_image_is_background() -> None:
    assert len(surface_voxels(np.ones((4, 4, 4), bool))) == 4**3 - 2**3


@pytest.mark.parametrize(
    ("moved", "spacing_mm", "assd_mm", "hd95_mm", "nsd_at_1mm"),
    [
        ((2, 2, 2), (1, 1, 1), 0.0, 0.0, 1.0),
        # A 3-cube has 26 surface voxels. Moved by one along i, its surface shares two faces without their middles
        # (8 + 8 voxels) with the first; of the other ten, nine lie on the far face, one voxel away, as does the middle
        # of the near face.
        ((3, 2, 2), (1, 1, 1), 10 / 26, 1.0, 1.0),
        ((3, 2, 2), (2, 1, 1), (9 * 2 + 1) / 26, 2.0, 17 / 26),  # the middle's nearest is beside it, 1 mm
    ],
)
def test_a_cube_and_a_moved_cube(
    moved: tuple[int, int, int], spacing_mm: Spacing, assd_mm: float, hd95_mm: float, nsd_at_1mm: float
) -> None:
    ours = surface_distances(cube(moved), cube((2, 2, 2)), spacing_mm)
    assert ours.assd_mm == pytest.approx(assd_mm)
    assert ours.hd95_mm == pytest.approx(hd95_mm)
    assert ours.nsd(1.0) == pytest.approx(nsd_at_1mm)


@pytest.mark.parametrize(("axis", "expected_mm"), [(0, 3.5), (1, 6.5), (2, 15.5)])
def test_two_single_voxels_five_apart(axis: int, expected_mm: float) -> None:
    prediction, reference = np.zeros((8, 8, 8), bool), np.zeros((8, 8, 8), bool)
    prediction[1, 1, 1] = True
    reference[tuple(6 if each == axis else 1 for each in range(3))] = True
    ours = surface_distances(prediction, reference, ANISOTROPIC)
    assert (ours.assd_mm, ours.hd95_mm) == (pytest.approx(expected_mm), pytest.approx(expected_mm))


def test_hd95_is_the_larger_direction_and_interpolates_linearly() -> None:
    distances = SurfaceDistances(np.arange(11.0), np.zeros(50))
    assert distances.hd95_mm == pytest.approx(9.5)
    assert SurfaceDistances(np.zeros(50), np.arange(11.0)).hd95_mm == pytest.approx(9.5)


def test_assd_pools_both_directions() -> None:
    assert SurfaceDistances(np.array([4.0]), np.array([0.0, 0.0, 0.0])).assd_mm == pytest.approx(1.0)


def test_tolerance_is_inclusive_in_spite_of_float32_spacing() -> None:
    spacing = float(np.float32(1.2))
    prediction, reference = cube((0, 0, 0), size=1), cube((5, 0, 0), size=1)
    assert surface_distances(prediction, reference, (spacing, 1, 1)).nsd(6.0) == 1.0
    assert surface_distances(prediction, reference, (spacing, 1, 1)).nsd(5.999) == 0.0


@pytest.mark.parametrize(
    ("prediction", "reference", "nsd"),
    [
        (np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool), 1.0),
        (np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool), 0.0),
        (np.ones((4, 4, 4), bool), np.zeros((4, 4, 4), bool), 0.0),
    ],
)
def test_empty_masks_have_no_distances(prediction: np.ndarray, reference: np.ndarray, nsd: float) -> None:
    ours = surface_distances(prediction, reference, (1, 1, 1))
    assert (ours.assd_mm, ours.hd95_mm, ours.nsd(1e6)) == (None, None, nsd)


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 10_000), second=st.integers(0, 10_000), scale=st.floats(0.1, 10))
def test_symmetric_and_proportional_to_the_spacing(first: int, second: int, scale: float) -> None:
    a, b = blob(first), blob(second)
    ours, swapped = surface_distances(a, b, ANISOTROPIC), surface_distances(b, a, ANISOTROPIC)
    scaled = surface_distances(a, b, tuple(scale * length for length in ANISOTROPIC))  # type: ignore[arg-type]
    assert (ours.assd_mm, ours.hd95_mm) == (pytest.approx(swapped.assd_mm), pytest.approx(swapped.hd95_mm))
    assert scaled.assd_mm == pytest.approx(scale * ours.assd_mm)  # type: ignore[operator]


def monai_assd(prediction: object, reference: object) -> float:
    from monai.metrics import compute_average_surface_distance

    return compute_average_surface_distance(
        prediction, reference, include_background=True, symmetric=True, spacing=ANISOTROPIC
    ).item()


def monai_hd95(prediction: object, reference: object) -> float:
    from monai.metrics import compute_hausdorff_distance

    return compute_hausdorff_distance(
        prediction, reference, include_background=True, percentile=95, spacing=ANISOTROPIC
    ).item()


def monai_nsd(prediction: object, reference: object) -> float:
    from monai.metrics import compute_surface_dice

    return compute_surface_dice(
        prediction, reference, class_thresholds=[1.5], include_background=True, spacing=ANISOTROPIC
    ).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("peer", "ours"),
    [
        (monai_assd, lambda distances: distances.assd_mm),
        (monai_hd95, lambda distances: distances.hd95_mm),
        (monai_nsd, lambda distances: distances.nsd(1.5)),
    ],
)
def test_agrees_with_monai(
    seed: int, peer: Callable[[object, object], float], ours: Callable[[SurfaceDistances], float]
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai")
    prediction, reference = blob(seed, (20, 18, 14)), blob(seed + 100, (20, 18, 14))
    expected = peer(*(torch.from_numpy(mask)[None, None] for mask in (prediction, reference)))
    assert ours(surface_distances(prediction, reference, ANISOTROPIC)) == pytest.approx(expected, abs=1e-4)
