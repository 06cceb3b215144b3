"""Sliding-window prediction against MONAI's `sliding_window_inference`, U-Net of width 16, windows of 96 × 80 × 48.

`fp32`: the same windows in the same precision on a volume without margin. `default`: what a user gets (bf16 where the
processor is faster so, windows without tissue left out) on a volume whose margin is empty, against MONAI in fp32.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor

from voxseed.data.valid_region import valid_region
from voxseed.devices import best_precision
from voxseed.inference.sliding_window import sliding_window
from voxseed.networks.factory import build_network, default_arguments

PATCH = (96, 80, 48)
OVERLAP = 0.5
SMALL = (144, 120, 96)
LARGE = (256, 256, 160)
REPEATS = 3


def run() -> list[dict[str, Any]]:
    """Seconds of both, their ratio, and the largest difference of a probability."""
    torch.manual_seed(0)
    arguments = default_arguments("unet3d", (1.0, 1.0, 1.0), PATCH, 16)
    network = build_network("unet3d", 1, 2, **arguments).eval()
    precision = best_precision(torch.device("cpu"))

    def probabilities(patches: Tensor) -> Tensor:
        return network(patches).softmax(dim=1)

    def default(patches: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = network(patches)
        return logits.float().softmax(dim=1)

    full, margin = torch.randn(1, *SMALL), _with_margin(LARGE)

    def ours_default() -> Tensor:
        valid = torch.from_numpy(valid_region(margin.numpy()))
        return sliding_window(default, margin, PATCH, OVERLAP, valid=valid)

    same = lambda: sliding_window(probabilities, full, PATCH, OVERLAP)  # noqa: E731
    rows = [_row(f"fp32, {SMALL}", same, lambda: _monai(full, probabilities), None, REPEATS)]
    tissue = torch.from_numpy(valid_region(margin.numpy()))
    rows.append(
        _row(f"default ({precision}), {LARGE}", ours_default, lambda: _monai(margin, probabilities), tissue, repeats=1)
    )
    return rows


@torch.inference_mode()
def _monai(image: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
    result = sliding_window_inference(image[None], PATCH, 1, predict, overlap=OVERLAP, mode="gaussian")
    return result[0]


def _row(
    name: str, ours: Callable[[], Tensor], peer: Callable[[], Tensor], where: Tensor | None, repeats: int
) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"ours": [], "monai": []}
    results: dict[str, Tensor] = {}
    for _ in range(repeats):
        for who, predict in (("ours", ours), ("monai", peer)):
            start = time.perf_counter()
            results[who] = predict()
            seconds[who].append(time.perf_counter() - start)
    difference = (results["ours"] - results["monai"]).abs()
    if where is not None:
        difference = difference[:, where]
    own, other = statistics.median(seconds["ours"]), statistics.median(seconds["monai"])
    return {
        "name": name,
        "ours_seconds": own,
        "monai_seconds": other,
        "ratio": own / other,
        "largest_difference": float(difference.max()),
    }


def _with_margin(shape: tuple[int, int, int]) -> Tensor:
    """An ellipsoid of noise with 0 around it; its axes are seven tenths of the volume's."""
    grids = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    body = sum((grid / 0.7) ** 2 for grid in grids) < 1
    image = np.random.default_rng(0).normal(size=shape) * body
    return torch.from_numpy(image.astype(np.float32))[None]
