import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from voxseed.inference.sliding_window import gaussian_weights, sliding_window, window_slices


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv3d(3, 3, 3, padding=1), nn.Softmax(dim=1))


@pytest.mark.parametrize(("overlap", "batch_size"), [(0.0, 1), (0.25, 4), (0.5, 1), (0.5, 3), (0.6, 2)])
@pytest.mark.parametrize(
    ("shape", "patch_shape"),
    [
        ((20, 17, 10), (8, 8, 8)),
        ((5, 17, 10), (8, 8, 12)),  # smaller than the window along two axes
        ((7, 9, 5), (10, 12, 8)),  # along all
        ((8, 8, 8), (8, 8, 8)),
        ((9, 25, 9), (8, 8, 8)),
    ],
)
def test_equals_monai(network: nn.Module, shape, patch_shape, overlap: float, batch_size: int) -> None:
    image = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = sliding_window_inference(
            image[None], patch_shape, batch_size, network, overlap, mode="gaussian", padding_mode="constant"
        )
    found = sliding_window(network, image, patch_shape, overlap, batch_size)
    assert found.shape == (3, *shape)
    torch.testing.assert_close(found, expected[0], atol=1e-5, rtol=0)


def test_what_does_not_depend_on_the_window_is_exact() -> None:
    image = torch.randn(1, 30, 21, 14)
    torch.testing.assert_close(sliding_window(lambda patches: 3 * patches, image, (8, 8, 8)), 3 * image)


def test_windows_without_valid_voxels_are_left_out() -> None:
    valid = torch.zeros(32, 8, 8, dtype=torch.bool)
    valid[:6] = True
    seen = []

    def predict(patches: Tensor) -> Tensor:
        seen.append(patches[:, 0, 0, 0, 0].tolist())
        return torch.stack([0.2 * torch.ones_like(patches[:, 0]), 0.8 * torch.ones_like(patches[:, 0])], dim=1)

    image = torch.arange(32.0).reshape(1, 32, 1, 1).expand(1, 32, 8, 8)
    found = sliding_window(predict, image, (8, 8, 8), overlap=0.5, valid=valid)
    assert seen == [[0.0], [4.0]]
    torch.testing.assert_close(found[1, :12], torch.full((12, 8, 8), 0.8))
    assert (found[0, 12:] == 1).all()
    assert (found[1, 12:] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rows_between_windows_are_certain_background(dtype: torch.dtype) -> None:
    valid = torch.zeros(64, 12, 8, dtype=torch.bool)
    valid[0], valid[40], valid[41, 11] = True, True, True
    image = torch.rand(2, 64, 12, 8)
    found = sliding_window(lambda patches: patches, image, (8, 8, 8), valid=valid, dtype=dtype)
    covered = torch.zeros(64, dtype=torch.bool)
    for start in (0, 36, 40):  # starts of the windows with a valid voxel
        covered[start : start + 8] = True
    assert found.dtype == dtype
    torch.testing.assert_close(found[:, covered].float(), image[:, covered], rtol=0, atol=6e-4)
    assert (found[0, ~covered] == 1).all()
    assert (found[1, ~covered] == 0).all()


def test_a_case_without_valid_voxels_is_no_error() -> None:
    found = sliding_window(lambda x: x, torch.ones(2, 20, 8, 8), (8, 8, 8), valid=torch.zeros(20, 8, 8) > 0)
    assert found.shape == (2, 20, 8, 8)


@pytest.mark.parametrize(
    ("n", "size", "overlap", "expected"),
    [
        (8, 8, 0.5, [0]),
        (9, 8, 0.5, [0, 1]),
        (20, 8, 0.5, [0, 4, 8, 12]),
        (21, 8, 0.0, [0, 8, 13]),
        (3, 1, 0.9, [0, 1, 2]),
    ],
)
def test_positions(n: int, size: int, overlap: float, expected: list[int]) -> None:
    assert [window[0].start for window in window_slices((n, 4, 4), (size, 4, 4), overlap)] == expected


def test_weights() -> None:
    weights = gaussian_weights((9, 8, 8))
    assert weights.shape == (9, 8, 8)
    assert weights[4, 4, 4] == pytest.approx(2.718281828 ** -(2 * 0.5**2 / 2))  # half a voxel off centre along J and K
    assert weights[0, 0, 0] == pytest.approx(1e-3)
    torch.testing.assert_close(weights, weights.flip(0, 1, 2))
