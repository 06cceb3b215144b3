"""Devices: which one computes, and in which precision. Torch is imported only when asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxseed import machine
from voxseed.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICE_NAMES = ("auto", "cpu", "cuda")
Precision = Literal["fp32", "bf16"]

_NVIDIA_DRIVER_DEVICES = Path("/proc/driver/nvidia/gpus")
_NVIDIA_DRIVER_VERSION = Path("/proc/driver/nvidia/version")
_ANYWAY = "Or compute on the CPU all the same with --device cpu."


def resolve_device(name: str) -> "torch.device":
    """The device of that name; `auto` is CUDA where an NVIDIA device is present, else the CPU.

    An NVIDIA device hidden by CUDA_VISIBLE_DEVICES counts as absent.

    Raises:
        InputError: if the name is unknown, `cuda` is asked for and there is none, or one is present but cannot be
            used; `auto` never falls back to the CPU then.
    """
    import torch

    if name not in DEVICE_NAMES:
        raise InputError(f"--device {name}: unknown device. Known: {', '.join(DEVICE_NAMES)}.")
    if name == "cpu":
        return torch.device("cpu")
    if nvidia_device_present():
        _require_usable_cuda()
        return torch.device("cuda")
    if name == "cuda":
        raise InputError(
            "--device cuda: no NVIDIA device found. Check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu."
        )
    return torch.device("cpu")


def best_precision(device: "torch.device") -> Precision:
    """bf16 where the device computes it natively and thereby faster, else fp32."""
    import torch

    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def available_cores() -> int:
    """Cores that this process may use: by its affinity, and by the limit of its container or job."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = machine.core_limit()
    return allowed if limit is None else max(1, min(allowed, int(limit)))


def convolution_difference(device: "torch.device", precision: Precision) -> float:
    """Largest difference between a small 3D convolution on a device and in float64 on the CPU, relative to the result.

    Raises:
        RuntimeError: if the device cannot compute it.
    """
    import torch
    from torch.nn.functional import conv3d

    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 4, 12, 12, 12, generator=generator, dtype=torch.float64)
    weight = torch.randn(8, 4, 3, 3, 3, generator=generator, dtype=torch.float64)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    expected = conv3d(image, weight)
    found = conv3d(image.to(device, dtype), weight.to(device, dtype)).cpu().double()
    return float((found - expected).abs().max() / expected.abs().max())


def nvidia_device_present() -> bool:
    """Whether the machine has an NVIDIA device that is not hidden, whatever PyTorch can do with it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    if _NVIDIA_DRIVER_DEVICES.is_dir() and any(_NVIDIA_DRIVER_DEVICES.iterdir()):
        return True
    return "GPU " in _nvidia_smi_list()


def nvidia_driver_version() -> str | None:
    """Version of the NVIDIA driver that is loaded; None where there is none, or it does not tell."""
    try:
        text = _NVIDIA_DRIVER_VERSION.read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"\d+\.\d+(?:\.\d+)?", text)
    return match[0] if match else None


def _nvidia_smi_list() -> str:
    """One line per device; empty where the program is missing or finds no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        return subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _require_usable_cuda() -> None:
    """Compute something on the device, which shows what asking for its properties does not."""
    import torch

    if torch.version.cuda is None:
        raise InputError(
            f"An NVIDIA device is present, but this PyTorch ({torch.__version__}) is built without CUDA. "
            f"Install a CUDA build as pytorch.org/get-started says. {_ANYWAY}"
        )
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"An NVIDIA device is present, but PyTorch {torch.__version__} (CUDA {torch.version.cuda}) cannot use it: "
            f"{reason}. Update the NVIDIA driver, or install a PyTorch build for this device and driver as "
            f"pytorch.org/get-started says. {_ANYWAY}"
        ) from None
