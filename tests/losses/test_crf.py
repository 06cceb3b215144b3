"""The multi-view CRF against a double sum over all pairs, written as in the paper."""

import importlib
import math
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from voxseed.errors import ShapeError
from voxseed.losses.crf import MultiViewCRFLoss, crf_energy, crf_message
from voxseed.losses.crf_window import VIEWS, Window, window_offsets
from voxseed.losses.kernels import crf_cpu, crf_torch

NORMAL_AXIS = {"axial": 2, "coronal": 1, "sagittal": 0}


def pair_weights(image: np.ndarray, valid: np.ndarray, sigma_x: float, window: Window) -> np.ndarray:
    """K_ij m_i m_j summed over views for one sample: (N, N), from the definition."""
    places = np.stack(np.meshgrid(*map(np.arange, valid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    step = np.abs(places[:, None] - places[None])
    features = image.reshape(len(image), -1).T
    contrast = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    kernel = np.exp(-(step**2).sum(axis=-1) / (2 * window.sigma_r_voxels**2) - contrast / (2 * sigma_x**2))
    total = np.zeros_like(kernel)
    for view in window.views:
        in_slice = step[..., NORMAL_AXIS[view]] == 0
        in_window = (step <= np.array(window.radius)).all(axis=-1)
        total += kernel * (in_slice & in_window)
    np.fill_diagonal(total, 0)
    mask = valid.reshape(-1)
    return total * mask[:, None] * mask[None]


def reference(
    probabilities: Tensor, image: Tensor, valid: Tensor, sigma_x: list[float], window: Window
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Message, energy and weight from the definition, in float64."""
    messages, energies, weights = [], [], []
    for b, sigma in enumerate(sigma_x):
        p = probabilities[b].double().numpy().reshape(probabilities.shape[1], -1)
        pairs = pair_weights(image[b].double().numpy(), valid[b, 0].numpy(), sigma, window)
        messages.append((p @ pairs).reshape(probabilities.shape[1:]))
        energies.append(0.5 * (pairs * (1 - p.T @ p)).sum())
        weights.append(pairs.sum())
    return np.array(messages), np.array(energies), np.array(weights)


def example(
    dtype: torch.dtype, shape: tuple[int, int, int] = (5, 4, 6), classes: int = 3
) -> tuple[Tensor, Tensor, Tensor]:
    """Two samples of two channels with invalid voxels."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, classes, *shape, generator=generator)
    image = 0.3 * torch.randn(2, 2, *shape, generator=generator)
    valid = torch.rand(2, 1, *shape, generator=generator) > 0.2
    return logits.to(dtype), image.to(dtype), valid


WINDOWS = [
    Window(),
    Window(radius=(1, 2, 3), sigma_r_voxels=1.5),
    Window(radius=(0, 2, 2), sigma_r_voxels=4.0),
    Window(radius=(2, 2, 2), views=("axial",)),
    Window(radius=(2, 1, 2), views=("coronal", "sagittal")),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(
    ("backend", "dtype"),
    [(crf_cpu, torch.float32), (crf_torch, torch.float32), (crf_torch, torch.float64)],
    ids=["cpu-float32", "torch-float32", "torch-float64"],
)
def test_backends_equal_the_double_sum(backend, dtype, window):
    logits, image, valid = example(dtype)
    probabilities = logits.softmax(dim=1)
    sigma_x = torch.tensor([0.2, 0.7], dtype=dtype)

    message, energy, weight = backend.pairwise_messages(probabilities, image, valid, sigma_x, window_offsets(window))

    expected = reference(probabilities, image, valid, sigma_x.tolist(), window)
    np.testing.assert_allclose(message.numpy(), expected[0], rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(energy.numpy(), expected[1], rtol=1e-5)
    np.testing.assert_allclose(weight.numpy(), expected[2], rtol=1e-5)


@pytest.fixture
def triton_kernel() -> ModuleType:
    """The CUDA backend; where there is no CUDA device it runs in Triton's interpreter."""
    pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, on Linux.")
    return importlib.import_module("voxseed.losses.kernels.crf_triton")


TRITON_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_cuda_kernel_equals_the_double_sum(triton_kernel, window):
    logits, image, valid = example(torch.float32)
    probabilities, sigma_x = logits.softmax(dim=1), torch.tensor([0.2, 0.7])
    arguments = (tensor.to(TRITON_DEVICE) for tensor in (probabilities, image, valid, sigma_x))
    found = triton_kernel.pairwise_messages(*arguments, window_offsets(window))
    for ours, expected in zip(found, reference(probabilities, image, valid, [0.2, 0.7], window), strict=True):
        np.testing.assert_allclose(ours.cpu().numpy(), expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("shape", [(1, 1, 9), (7, 2, 1), (3, 20, 10)], ids=str)
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_the_cuda_kernel_takes_odd_shapes_and_any_number_of_classes(triton_kernel, shape, classes):
    """More voxels than a block holds, axes of one voxel, classes that are no power of two."""
    logits, image, valid = example(torch.float32, shape, classes)
    offsets = window_offsets(Window(radius=(2, 2, 2)))
    arguments = [logits.softmax(dim=1), image[:, :1], valid, torch.tensor([0.2, 0.4])]
    found = triton_kernel.pairwise_messages(*(tensor.to(TRITON_DEVICE) for tensor in arguments), offsets)
    for ours, plain in zip(found, crf_torch.pairwise_messages(*arguments, offsets), strict=True):
        torch.testing.assert_close(ours.cpu(), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 9), (13, 2, 1), (3, 40, 30)], ids=str)
def test_compiled_pass_equals_the_plain_one_on_odd_shapes(shape):
    """More slices than a slab holds, more voxels per slice than a chunk, axes of one voxel."""
    logits, image, valid = example(torch.float32, shape, classes=2)
    arguments = logits.softmax(dim=1), image, valid, torch.tensor([0.2, 0.4]), window_offsets(Window())
    for ours, plain in zip(crf_cpu.pairwise_messages(*arguments), crf_torch.pairwise_messages(*arguments), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_compiled_pass_does_not_depend_on_threads_or_memory_layout():
    logits, image, valid = example(torch.float32, (9, 8, 7))
    probabilities = logits.softmax(dim=1)
    offsets, sigma_x = window_offsets(Window()), torch.tensor([0.2, 0.7])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = crf_cpu.pairwise_messages(probabilities, image, valid, sigma_x, offsets)
        torch.set_num_threads(3)
        channels_last = probabilities.to(memory_format=torch.channels_last_3d)
        three = crf_cpu.pairwise_messages(channels_last, image, valid, sigma_x, offsets)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


def test_loss_is_half_the_pairs_per_valid_voxel_averaged_over_views_and_samples():
    logits, image, valid = example(torch.float64)
    probabilities = logits.softmax(dim=1)
    loss = MultiViewCRFLoss(radius=(1, 2, 3))(probabilities, image, valid, sigma_x=0.4)
    _, energy, _ = reference(probabilities, image, valid, [0.4, 0.4], Window(radius=(1, 2, 3)))
    counts = valid.sum(dim=(1, 2, 3, 4)).numpy()
    assert loss.item() == pytest.approx((energy / counts / 3).mean(), rel=1e-12)


def test_normalised_loss_is_the_weighted_share_of_unlike_pairs():
    logits, image, valid = example(torch.float32)
    probabilities = logits.softmax(dim=1)
    loss = MultiViewCRFLoss(radius=2, normalised=True)(probabilities, image, valid, torch.tensor([0.2, 0.7]))
    _, energy, weight = reference(probabilities, image, valid, [0.2, 0.7], Window(radius=(2, 2, 2)))
    assert loss.item() == pytest.approx((2 * energy / weight).mean(), rel=1e-5)


def test_pair_weight_one_is_the_released_program():
    logits, image, valid = example(torch.float32)
    probabilities = logits.softmax(dim=1)
    half = MultiViewCRFLoss()(probabilities, image, valid)
    assert MultiViewCRFLoss(pair_weight=1.0)(probabilities, image, valid).item() == pytest.approx(2 * half.item())


@pytest.mark.parametrize(
    ("intensities", "foreground", "expected"),
    [
        # Two voxels in a row are neighbours in two views: 2 / 3 views, 1 pair, 2 voxels: K / 3.
        ([0.0, 0.0], [1.0, 0.0], math.exp(-1 / 72) / 3),
        ([0.0, 0.0], [1.0, 1.0], 0.0),
        ([0.0, 0.0], [0.5, 0.5], math.exp(-1 / 72) / 6),
        ([0.0, 0.1], [1.0, 0.0], math.exp(-1 / 72 - 0.5) / 3),
        # Three in a row: pairs at distance 1, 1 and 2, of which the last two are unlike.
        ([0.0, 0.0, 0.0], [1.0, 1.0, 0.0], 2 / 9 * (math.exp(-1 / 72) + math.exp(-4 / 72))),
    ],
)
def test_loss_of_a_row_of_voxels(intensities, foreground, expected):
    image = torch.tensor(intensities).view(1, 1, 1, 1, -1)
    p = torch.tensor(foreground).view(1, 1, 1, 1, -1)
    loss = MultiViewCRFLoss()(torch.cat([1 - p, p], dim=1), image, torch.ones_like(image, dtype=torch.bool))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_with_respect_to_logits_equals_that_of_the_double_sum(dtype, normalised):
    logits, image, valid = example(dtype)
    sigma_x = [0.2, 0.7]
    ours = logits.clone().requires_grad_()
    MultiViewCRFLoss(radius=2, normalised=normalised)(
        ours.softmax(dim=1), image, valid, torch.tensor(sigma_x, dtype=dtype)
    ).backward()

    slow = logits.double().requires_grad_()
    total = torch.zeros(())
    for b, sigma in enumerate(sigma_x):
        pairs = torch.from_numpy(
            pair_weights(image[b].double().numpy(), valid[b, 0].numpy(), sigma, Window(radius=(2, 2, 2)))
        )
        p = slow[b].softmax(dim=0).flatten(1)
        divisor = pairs.sum() if normalised else 2 * 3 * valid[b].sum()
        total = total + (pairs * (1 - p.T @ p)).sum() / divisor / len(sigma_x)
    total.backward()
    scale = slow.grad.abs().max().item()
    torch.testing.assert_close(ours.grad.double(), slow.grad, rtol=1e-5, atol=1e-6 * scale)


def test_gradient_passes_gradcheck():
    logits, image, valid = example(torch.float64, (2, 3, 2), classes=2)
    logits.requires_grad_()
    loss = MultiViewCRFLoss(radius=1)
    assert torch.autograd.gradcheck(lambda z: loss(z.softmax(dim=1), image, valid, 0.5), logits)


def test_graph_can_be_walked_twice():
    logits, image, valid = example(torch.float32)
    logits.requires_grad_()
    loss = MultiViewCRFLoss()(logits.softmax(dim=1), image, valid)
    first, second = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_message_is_the_negative_gradient_of_the_energy_and_has_no_gradient():
    logits, image, valid = example(torch.float32)
    probabilities = logits.softmax(dim=1).requires_grad_()
    energy, _ = crf_energy(probabilities, image, valid, 0.3, Window())
    energy.sum().backward()
    message = crf_message(probabilities, image, valid, 0.3, Window())
    assert not message.requires_grad
    assert torch.equal(message, -probabilities.grad)
    assert (message * ~valid == 0).all()


@pytest.mark.parametrize("normalised", [False, True])
def test_sample_without_valid_voxels_is_left_out(normalised):
    logits, image, valid = example(torch.float32)
    valid[1] = False
    logits.requires_grad_()
    loss = MultiViewCRFLoss(normalised=normalised)
    both = loss(logits.softmax(dim=1), image, valid, 0.3)
    both.backward()
    assert both.item() == pytest.approx(loss(logits[:1].softmax(dim=1), image[:1], valid[:1], 0.3).item())
    assert (logits.grad[1] == 0).all()
    assert loss(logits.softmax(dim=1), image, torch.zeros_like(valid)).item() == 0


def test_invalid_voxels_may_hold_anything():
    logits, image, valid = example(torch.float32)
    hostile = torch.where(valid, image, 1e6)
    loss = MultiViewCRFLoss()
    assert loss(logits.softmax(dim=1), hostile, valid).item() == loss(logits.softmax(dim=1), image, valid).item()


def test_bfloat16_is_computed_in_float32():
    logits, image, valid = example(torch.float32)
    probabilities = logits.softmax(dim=1).bfloat16()
    loss = MultiViewCRFLoss()(probabilities, image.bfloat16(), valid)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(
        MultiViewCRFLoss()(probabilities.float(), image.bfloat16().float(), valid).item()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": (0, 0, 0)}, r"radius: expected three numbers >= 0, not all 0, found \(0, 0, 0\)"),
        ({"sigma_r_voxels": 0.0}, "sigma_r_voxels: expected a number above 0, found 0.0"),
        ({"views": ()}, r"views: expected some of axial, coronal, sagittal, found \(\)"),
        ({"views": ("axial", "oblique")}, "views: expected some of axial, coronal, sagittal"),
    ],
)
def test_impossible_windows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiViewCRFLoss(**arguments)


def test_tensors_of_different_space_are_refused():
    logits, image, valid = example(torch.float32)
    with pytest.raises(ShapeError, match=r"share B, I, J, K; found probabilities .*image \(2, 2, 4, 4, 6\)"):
        MultiViewCRFLoss()(logits, image[:, :, :4], valid)
    with pytest.raises(ShapeError, match="valid: expected 1 channel"):
        MultiViewCRFLoss()(logits, image, valid.expand(-1, 2, -1, -1, -1))


def test_a_radius_of_five_compares_330_neighbours_in_three_views():
    """Three planes of 11 x 11 - 1, of which the three axes of 10 are in two planes each."""
    offsets = window_offsets(Window())
    assert len(offsets.steps) == 3 * 120 - 3 * 10
    np.testing.assert_array_equal(offsets.steps, -offsets.steps[::-1])
    assert VIEWS == ("axial", "coronal", "sagittal")
