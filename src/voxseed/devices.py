"""Devices: which one computes, and in which precision. Torch is imported only when asked."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxseed.errors import InputError

if TYPE_CHECKING:
    import torch

DEVICE_NAMES = ("auto", "cpu", "cuda")
Precision = Literal["fp32", "bf16"]

_NVIDIA_DRIVER_DEVICES = Path("/proc/driver/nvidia/gpus")
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
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def nvidia_device_present() -> bool:
    """Whether the machine has an NVIDIA device that is not hidden, whatever PyTorch can do with it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    if _NVIDIA_DRIVER_DEVICES.is_dir() and any(_NVIDIA_DRIVER_DEVICES.iterdir()):
        return True
    return "GPU " in _nvidia_smi_list()


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
