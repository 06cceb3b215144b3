from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxseed.data.valid_region import valid_region


def ball(shape: tuple[int, int, int], radius: float) -> np.ndarray:
    offsets = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    return np.sqrt((offsets**2).sum(axis=0)) <= radius


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 10, size=shape).astype(np.float32)


def test_padding_around_a_body_is_invalid() -> None:
    body = ball((40, 36, 30), 12)
    image = np.where(body, noise(body.shape), 0)
    np.testing.assert_array_equal(valid_region(image[None]), body)


@pytest.mark.parametrize("fill", [-1024.0, 0.0, 255.0])
def test_the_corners_of_a_circular_field_of_view_are_invalid(fill: float) -> None:
    rows, columns = np.indices((64, 64)) - 31.5
    circle = np.broadcast_to((np.hypot(rows, columns) < 32)[..., None], (64, 64, 12))
    image = np.where(circle, noise(circle.shape), fill)
    found = valid_region(image[None])
    assert found[circle].all()
    # Where the circle comes near the faces, slivers remain that are too thin for a window.
    assert (found & ~circle).sum() < 0.15 * (~circle).sum()


def test_a_margin_on_one_side_is_invalid() -> None:
    image = noise((40, 40, 20))
    image[:6] = 0
    expected = np.ones(image.shape, dtype=bool)
    expected[:6] = False
    np.testing.assert_array_equal(valid_region(image[None]), expected)


def test_specks_inside_the_padding_are_invalid_too() -> None:
    image = np.where(ball((40, 40, 40), 12), noise((40, 40, 40)), 0)
    image[3, 4, 5] = 7
    image[30:32, 4, 36] = 7
    assert not valid_region(image[None])[:, :5].any()


def test_a_constant_inside_the_body_is_valid() -> None:
    body = ball((40, 40, 40), 15)
    image = np.where(body & ~ball((40, 40, 40), 6), noise(body.shape), 0)
    np.testing.assert_array_equal(valid_region(image[None]), body)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.87])
def test_noisy_dark_air_is_valid(share: float) -> None:
    """A magnitude image in uint8 has much 0 in the air, and no padding."""
    image = np.where(np.random.default_rng(1).random((40, 40, 40)) < share, 0, 1).astype(np.uint8)
    image[10:30, 10:30, 10:30] = 200
    assert valid_region(image[None]).all()


@pytest.mark.parametrize("share", [0.92, 0.97])
def test_nearly_constant_air_is_invalid_without_holes(share: float) -> None:
    image = np.where(np.random.default_rng(1).random((40, 40, 40)) < share, 0, 1).astype(np.uint8)
    image[10:30, 10:30, 10:30] = 200
    found = valid_region(image[None])
    assert found[10:30, 10:30, 10:30].all()
    assert not found[:8].any()


def test_background_must_be_background_in_all_channels() -> None:
    first = np.where(ball((40, 40, 40), 10), noise((40, 40, 40)), 0)
    second = np.where(ball((40, 40, 40), 16), noise((40, 40, 40), seed=1), -3)
    np.testing.assert_array_equal(valid_region(np.stack([first, second])), ball((40, 40, 40), 16))


@pytest.mark.parametrize("image", [noise((12, 10, 8)), np.full((12, 10, 8), 5.0), noise((30, 30, 1))])
def test_without_background_everything_is_valid(image: np.ndarray) -> None:
    assert valid_region(image[None]).all()


@pytest.mark.parametrize("dataset", ["Dataset004_Hippocampus", "Dataset101_LeftAtrium", "Dataset103_LeftAtriumNative"])
def test_real_images_without_padding_are_valid_everywhere(dataset: str, real_data: Path) -> None:
    for path in sorted((real_data / dataset / "imagesTr").iterdir())[::10]:
        assert valid_region(np.asanyarray(nib.load(path).dataobj)[None]).all(), path.name


def test_real_margins_of_distortion_correction_are_invalid(real_data: Path) -> None:
    image = nib.load(real_data / "Dataset102_ACDC/imagesTr/patient031_frame01_0000.nii.gz")
    found = valid_region(np.asanyarray(image.dataobj)[None])
    assert not found[:5, :5].any()
    assert found[30:-30, 30:-30].all()
    assert 0.9 < found.mean() < 0.95
