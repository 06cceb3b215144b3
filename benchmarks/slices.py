"""Peak memory and time of one training step of cross-teaching, with 2D networks that read their slices 16 at a time, as
many at a time as is planned for the patch, or all at once.

On CUDA at the crop of the paper, in bf16 where the device has it; on CPU at the largest default patch and that crop.
"""

import multiprocessing
import resource
import time
from typing import Any

CROPS = {"cpu": ((64, 48, 32), (96, 80, 48), (176, 176, 96)), "cuda": ((176, 176, 96),)}
CHUNKS = {"16 slices at a time": {"chunk": 16}, "as planned": {}, "all slices at once": {"chunk": 4096}}
SPACING = (1.0, 1.0, 1.0)
CLASSES = 8
"""As MMWHS has them."""


def run() -> list[dict[str, Any]]:
    """Peak memory in GB, each in a process of its own; on CPU without what the process has before the step."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    context = multiprocessing.get_context("spawn")
    rows = []
    for crop in CROPS[device]:
        for title, chunk in CHUNKS.items():
            with context.Pool(1) as pool:
                peak_gb, seconds = pool.apply(_step, (device, crop, chunk))
            name = f"{' × '.join(map(str, crop))}, {device}, {title}"
            rows.append({"name": name, "peak_gb": peak_gb, "seconds": seconds})
    return rows


def _step(device_name: str, crop: tuple[int, int, int], chunk: dict[str, int]) -> tuple[float, float]:
    import torch
    from torch import nn

    from voxseed.devices import best_precision
    from voxseed.methods.base import Progress
    from voxseed.methods.cross_teaching import CrossTeaching, CrossTeachingSettings
    from voxseed.networks.factory import build_network, default_arguments, slicewise_arguments
    from voxseed.networks.layout import placed
    from voxseed.training.loop import total_loss

    device = torch.device(device_name)
    arguments = {"primary": {"architecture": "unet3d", **default_arguments("unet3d", SPACING, crop, 16)}}
    for plane, axis in (("axial", 2), ("coronal", 1)):
        planned = slicewise_arguments("unet2d", axis, SPACING, crop, 16)
        arguments[plane] = {"architecture": "unet2d", **planned, **chunk}
    networks = nn.ModuleDict(
        {
            name: placed(build_network(in_channels=1, class_count=CLASSES, **each), device)
            for name, each in arguments.items()
        }
    )
    method = CrossTeaching(networks, CrossTeachingSettings())
    batch = _batch(crop).to(device)
    before_gb = _peak_gb(device_name) if device_name == "cpu" else 0.0
    seconds = 0.0
    for _ in range(2):  # the first one is slower: memory is new
        start = time.perf_counter()
        with torch.autocast(device_name, torch.bfloat16, enabled=best_precision(device) == "bf16"):
            loss = total_loss(method.losses(batch, Progress(0, 0, 1.0)))
        loss.backward()
        if device_name == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return _peak_gb(device_name) - before_gb, seconds


def _batch(crop: tuple[int, int, int]) -> Any:
    """Noise with an annotated slice in every twelve, and every twenty-four across."""
    import torch

    from voxseed.methods.base import Batch
    from voxseed.types import IGNORE

    image = torch.randn(1, 1, *crop)
    target = torch.full(image.shape, IGNORE)
    target[..., ::12] = torch.randint(0, CLASSES, target[..., ::12].shape)
    target[..., ::24, :] = torch.randint(0, CLASSES, target[..., ::24, :].shape)
    valid, absent = torch.ones(image.shape, dtype=torch.bool), torch.zeros(1, CLASSES, dtype=torch.bool)
    return Batch(image, target, valid, absent, torch.tensor([torch.nan]), SPACING)


def _peak_gb(device_name: str) -> float:
    if device_name == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    import torch

    return torch.cuda.max_memory_allocated() / 1024**3
