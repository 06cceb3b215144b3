"""Where a run comes from: enough to repeat it, without private paths."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from voxseed import __version__

_PACKAGES = (
    "torch",
    "monai",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "numba",
    "nibabel",
    "SimpleITK",
    "blosc2",
    "safetensors",
    "pydantic",
)


def provenance(fingerprint: str, seed: int, device: str, command: list[str] | None = None) -> dict[str, Any]:
    """Versions, machine, data and command of a run, as plain values."""
    return {
        "voxseed": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "dataset_fingerprint": fingerprint,
        "seed": seed,
        "command": [_without_folders(word) for word in (sys.argv if command is None else command)],
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _without_folders(word: str) -> str:
    """A path as its last part alone; other words as they are."""
    option, separator, value = word.partition("=")
    if separator and "/" in value:
        return f"{option}={Path(value).name}"
    return Path(word).name if "/" in word or "\\" in word else word
