"""Sliding-window prediction against MONAI's `sliding_window_inference`, U-Net of width 16.

Windows are as training plans them. MONAI runs its own network with the same weights, in fp32. `fp32`: the same windows
in the same precision on a volume without margin. `default`: what a user gets (bf16 where the device is faster so,
windows without tissue left out) on a volume whose margin is empty. `default, fp32`: that without bf16. Differences are
between probabilities of an untrained network on noise.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from benchmarks.device import DEVICE, IS_CUDA, PATCH, in_precision, seconds_of
from voxseed.data.valid_region import valid_region
from voxseed.devices import Precision, best_precision
from voxseed.inference.sliding_window import sliding_window
from voxseed.networks.base import NETWORKS
from voxseed.networks.factory import build_network, default_arguments
from voxseed.networks.layout import placed

OVERLAP = 0.5
SMALL = (256, 256, 192) if IS_CUDA else (144, 120, 96)
LARGE = (512, 512, 300) if IS_CUDA else (256, 256, 160)
REPEATS = 5
BATCH = 4 if IS_CUDA else 1
REPEATS_LARGE = 2


def run() -> list[dict[str, Any]]:
    """Seconds of both, their ratio, and by how much probabilities differ."""
    torch.manual_seed(0)
    arguments = default_arguments("unet3d", (1.0, 1.0, 1.0), PATCH, 16)
    plain = NETWORKS.get("unet3d")(**arguments).build(1, 2).to(DEVICE).eval()
    network = placed(build_network("unet3d", 1, 2, **arguments), DEVICE).eval()
    network.body.load_state_dict(plain.state_dict())
    noise, body = torch.randn(1, *SMALL, device=DEVICE), _with_margin(LARGE)

    def whole() -> Tensor:
        return sliding_window(_probabilities(network, "fp32"), noise, PATCH, OVERLAP)

    def default(precision: Precision) -> Callable[[], Tensor]:
        def predict() -> Tensor:
            tissue = torch.from_numpy(valid_region(body.numpy())).to(DEVICE)
            return sliding_window(
                _probabilities(network, precision), body.to(DEVICE), PATCH, OVERLAP, BATCH, valid=tissue
            )

        return predict

    tissue = torch.from_numpy(valid_region(body.numpy()))
    best = best_precision(DEVICE)
    everywhere = torch.ones(SMALL, dtype=torch.bool)
    return [
        _row(f"fp32, {SMALL}", {"ours": whole}, lambda: _monai(noise, plain), everywhere, REPEATS)[0],
        *_row(
            f"default, {LARGE}",
            {best: default(best), "fp32": default("fp32")},
            lambda: _monai(body.to(DEVICE), plain),
            tissue,
            REPEATS_LARGE,
        ),
    ]


def _probabilities(network: nn.Module, precision: Precision) -> Callable[[Tensor], Tensor]:
    def predict(patches: Tensor) -> Tensor:
        with in_precision(precision):
            logits = network(patches)
        return logits.float().softmax(dim=1)

    return predict


@torch.inference_mode()
def _monai(image: Tensor, network: nn.Module) -> Tensor:
    predict = _probabilities(network, "fp32")
    result = sliding_window_inference(image[None], PATCH, 1, predict, overlap=OVERLAP, mode="gaussian")
    return result[0]


def _row(
    name: str, ours: dict[str, Callable[[], Tensor]], peer: Callable[[], Tensor], where: Tensor, repeats: int
) -> list[dict[str, Any]]:
    """One row per way of ours; all take turns with the peer."""
    seconds: dict[str, list[float]] = {who: [] for who in (*ours, "monai")}
    results: dict[str, Tensor] = {}
    for _ in range(repeats):
        for who, predict in (*ours.items(), ("monai", peer)):
            seconds[who].append(seconds_of(lambda: results.update({who: predict().cpu()})))  # noqa: B023
    expected = results["monai"][:, where]
    medians = {who: statistics.median(times) for who, times in seconds.items()}
    rows = []
    for who in ours:
        found = results[who][:, where]
        difference = (found - expected).abs()
        rows.append(
            {
                "name": f"{name}, {who}",
                "ours_seconds": medians[who],
                "monai_seconds": medians["monai"],
                "ratio": medians[who] / medians["monai"],
                "largest_difference": float(difference.max()),
                "mean_difference": float(difference.mean()),
                "labels_that_differ": float((found.argmax(0) != expected.argmax(0)).float().mean()),
            }
        )
    return rows


def _with_margin(shape: tuple[int, int, int]) -> Tensor:
    """An ellipsoid of noise with 0 around it; its axes are seven tenths of the volume's."""
    grids = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    body = sum((grid / 0.7) ** 2 for grid in grids) < 1
    image = np.random.default_rng(0).normal(size=shape) * body
    return torch.from_numpy(image.astype(np.float32))[None]
