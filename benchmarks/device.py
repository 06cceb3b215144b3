"""What is measured on: the GPU where there is one, else the CPU."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import torch

from voxseed.devices import best_precision
from voxseed.types import Shape3

DEVICE: Final = torch.device("cuda" if torch.cuda.is_available() else "cpu")
IS_CUDA: Final = DEVICE.type == "cuda"
PATCH: Final[Shape3] = (128, 128, 128) if IS_CUDA else (96, 80, 48)
"""What training plans on the device by default."""


def seconds_of(call: Callable[[], Any]) -> float:
    """Of one call, until the device has done what it asks for."""
    _wait()
    start = time.perf_counter()
    call()
    _wait()
    return time.perf_counter() - start


def extra_bytes(call: Callable[[], Any]) -> int:
    """GPU memory by which a call peaks above what was there before, after one that warms up."""
    call()
    _wait()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    _wait()
    return torch.cuda.max_memory_allocated() - before


def in_precision(precision: str) -> AbstractContextManager[Any]:
    """Autocast to "bf16", or nothing for "fp32"."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16")


def as_trained() -> AbstractContextManager[Any]:
    """The precision of training on the device."""
    return in_precision(best_precision(DEVICE))


def _wait() -> None:
    if IS_CUDA:
        torch.cuda.synchronize()
