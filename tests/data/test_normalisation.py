import numpy as np
import pytest

from voxseed.data.normalisation import Normalisation, ct_normalisation, drawn, normalise, zscored
from voxseed.errors import InputError

EVERYWHERE = np.ones((10, 10, 10), dtype=bool)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(10, 10, 10)).astype(np.float32)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1000, 0), (0.001, -3), (5, 1e4)])
def test_zscore_does_not_depend_on_the_scanner_s_scale(scale: float, shift: float) -> None:
    expected = normalise(noise(), EVERYWHERE, Normalisation(kind="zscore"), "case")
    found = normalise(noise() * scale + shift, EVERYWHERE, Normalisation(kind="zscore"), "case")
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.mean() == pytest.approx(0, abs=5e-4)
    assert found.std() == pytest.approx(1, abs=1e-4)


def test_zscore_is_over_valid_voxels_and_zero_elsewhere() -> None:
    valid = EVERYWHERE.copy()
    valid[5:] = False
    found = normalise(np.where(valid, noise() + 50, -1e6), valid, Normalisation(kind="zscore"), "case")
    assert (found[5:] == 0).all()
    assert found[:5].mean() == pytest.approx(0, abs=1e-4)


def test_zscore_by_hand() -> None:
    np.testing.assert_allclose(
        zscored(np.array([1.0] * 500 + [3.0] * 500, dtype=np.float32), "x"), [-1] * 500 + [1] * 500
    )


def test_one_artefact_does_not_set_the_scale() -> None:
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    artefact = np.append(values, np.float32(1e6))
    np.testing.assert_allclose(zscored(artefact, "x")[:-1], zscored(values, "x"), atol=1e-3)


def test_ct_is_clipped_and_the_same_for_all_cases() -> None:
    window = Normalisation(kind="ct", lower=-100, upper=300, mean=50, sd=25)
    channel = np.full((1, 1, 5), 50.0)
    channel[0, 0] = [-1000, -100, 50, 75, 3000]
    found = normalise(channel, np.ones(channel.shape, dtype=bool), window, "case")
    assert found.ravel().tolist() == [-6, -6, 0, 1, 10]


def test_none_changes_nothing() -> None:
    np.testing.assert_array_equal(normalise(noise(), EVERYWHERE, Normalisation(kind="none"), "case"), noise())


def test_window_of_ct_by_hand() -> None:
    found = ct_normalisation(np.arange(1001, dtype=np.float32), "CT")
    clipped = np.clip(np.arange(1001), 5, 995)
    assert (found.lower, found.upper) == (5, 995)
    assert (found.mean, found.sd) == pytest.approx((clipped.mean(), clipped.std()))


@pytest.mark.parametrize("kind", ["zscore", "ct", "none"])
def test_a_constant_image_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="heart, MRI: all voxels have intensity 7, expected an image"):
        normalise(np.full((3, 3, 3), 7.0), np.ones((3, 3, 3), dtype=bool), Normalisation(kind=kind), "heart, MRI")


def test_a_nearly_constant_image_is_refused() -> None:
    channel = np.zeros((10, 10, 10), dtype=np.float32)
    channel[0, 0, 0] = 1
    with pytest.raises(InputError, match="heart: 99 % of the voxels have intensity 0"):
        normalise(channel, EVERYWHERE, Normalisation(kind="zscore"), "heart")
    with pytest.raises(InputError, match="expected Hounsfield units"):
        ct_normalisation(channel.ravel(), "CT")


def test_the_same_seed_draws_the_same_voxels() -> None:
    values = np.arange(2000).reshape(2, 1000)
    first, second, other = (drawn(values, 50, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    np.testing.assert_array_equal(first[1] - first[0], np.full(50, 1000))
    assert drawn(values, 1000, 0) is values
