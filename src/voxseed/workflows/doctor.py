"""Doctor: what this machine and installation have for training, and what to do about each problem."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxseed import __version__, machine
from voxseed.data.cache import CACHE_VARIABLE
from voxseed.devices import (
    available_cores,
    best_precision,
    convolution_difference,
    nvidia_device_present,
    nvidia_driver_version,
    resolve_device,
)
from voxseed.errors import InputError

if TYPE_CHECKING:
    import torch

_GB = 1e9
_LEAST_MEMORY_GB, _COMFORTABLE_MEMORY_GB = 2, 8
_LEAST_DISK_GB, _COMFORTABLE_DISK_GB = 1, 20
_COMFORTABLE_SHARED_GB = 2
_LARGEST_DIFFERENCE = {"fp32": 1e-2, "bf16": 5e-2}  # TF32 counts as fp32
_REMOTE_FILE_SYSTEMS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p")
_SHARED_MEMORY = Path("/dev/shm")
_SLOW = "The CPU trains many times slower: take a machine with an NVIDIA device, or begin with --preset small."


@dataclass(frozen=True)
class Examined:
    """One thing that was looked at.

    Attributes:
        what: its name.
        found: what is there.
        remedy: what to do; empty if there is no problem.
        stops_training: whether training cannot go on like this.
    """

    what: str
    found: str
    remedy: str = ""
    stops_training: bool = False


def examine(cache: str | Path | None = None) -> tuple[Examined, ...]:
    """Look at everything that training needs, and compute something on the device.

    Args:
        cache: folder for preprocessed cases; as in training, $VOXSEED_CACHE or runs/cache here if not given.
    """
    return (
        Examined("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Examined("voxseed", __version__),
        *_examine_computing(),
        _examine_memory(),
        _examine_cores(),
        _examine_cache(Path(cache or os.environ.get(CACHE_VARIABLE) or Path("runs", "cache"))),
    )


def _examine_computing() -> list[Examined]:
    try:
        import torch
    except (ImportError, OSError) as error:
        remedy = "Install PyTorch as pytorch.org/get-started says."
        return [Examined("torch", f"cannot be imported: {error}", remedy, stops_training=True)]
    build = "built for the CPU only" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
    result = [Examined("torch", f"{torch.__version__}, {build}"), _examine_driver()]
    try:
        device = resolve_device("auto")
    except InputError as error:
        return [*result, Examined("device", "an NVIDIA device that cannot be used", str(error), stops_training=True)]
    precision = best_precision(device)
    result.append(_examine_device(device))
    result.append(Examined("precision", f"{precision} is best on this device"))
    return result if device.type == "cpu" else [*result, *_examine_shared_memory()]


def _examine_driver() -> Examined:
    version = nvidia_driver_version()
    found = "none" if version is None else version
    if nvidia_device_present():
        return Examined("NVIDIA driver", "present" if version is None else version)
    if version is not None and "CUDA_VISIBLE_DEVICES" in os.environ:
        hidden = os.environ["CUDA_VISIBLE_DEVICES"]
        remedy = f"CUDA_VISIBLE_DEVICES={hidden!r} hides the devices; unset it to use one."
        return Examined("NVIDIA driver", f"{found}, no visible device", remedy)
    return Examined("NVIDIA driver", found)


def _examine_device(device: "torch.device") -> Examined:
    import torch

    if device.type == "cpu":
        name, remedy = "cpu", _SLOW
    else:
        properties = torch.cuda.get_device_properties(device)
        capability = f"{properties.major}.{properties.minor}"
        name, remedy = f"{properties.name}, capability {capability}, {properties.total_memory / _GB:.0f} GB", ""
    problem = _kernel_problem(device)
    if problem:
        broken = "Update the NVIDIA driver and PyTorch, or compute on the CPU with --device cpu."
        return Examined("device", f"{name}; the test kernel {problem}", broken, stops_training=True)
    return Examined("device", f"{name}; the test kernel is right", remedy)


def _kernel_problem(device: "torch.device") -> str:
    """What is wrong with convolutions in fp32 and in the best precision; empty if nothing is."""
    for precision in dict.fromkeys(("fp32", best_precision(device))):
        try:
            difference = convolution_difference(device, precision)
        except RuntimeError as error:
            return f"fails in {precision}: {str(error).strip().splitlines()[0]}"
        if not difference <= _LARGEST_DIFFERENCE[precision]:
            return f"is wrong in {precision}, by {difference:.1%}"
    return ""


def _examine_memory() -> Examined:
    total, limit = machine.memory_bytes(), machine.memory_limit_bytes()
    if total is None:
        return Examined("memory", "cannot be told on this system")
    available = machine.available_memory_bytes() or total
    usable_gb = min(available, limit or available) / _GB
    found = f"{total / _GB:.1f} GB, {available / _GB:.1f} available"
    if limit is not None and limit < total:
        found += f", limited to {limit / _GB:.1f} by the container or job"
    if usable_gb >= _COMFORTABLE_MEMORY_GB:
        return Examined("memory", found)
    stops = usable_gb < _LEAST_MEMORY_GB
    asked = "Raise the limit" if limit is not None and limit < available else "Close other programs"
    return Examined("memory", found, f"{asked}: {_COMFORTABLE_MEMORY_GB} GB are enough for most data.", stops)


def _examine_cores() -> Examined:
    cores, all_cores, limit = available_cores(), os.cpu_count() or 1, machine.core_limit()
    found = str(cores) if cores == all_cores else f"{cores} of {all_cores}"
    if limit is not None and limit < all_cores:
        found += f", limited to {limit:g} by the container or job"
    threads = _torch_threads()
    if threads > cores:
        remedy = f"PyTorch would begin {threads} threads, which wait for each other; set OMP_NUM_THREADS={cores}."
        return Examined("cores", found, remedy)
    return Examined("cores", found)


def _torch_threads() -> int:
    try:
        import torch
    except (ImportError, OSError):
        return 0
    return torch.get_num_threads()


def _examine_shared_memory() -> list[Examined]:
    """Processes that read patches pass them on through it; containers often have little."""
    if not _SHARED_MEMORY.is_dir():
        return []
    total_gb = shutil.disk_usage(_SHARED_MEMORY).total / _GB
    remedy = "Start the container with --shm-size=8g, or train with --set training.workers=0."
    return [Examined("shared memory", f"{total_gb:.1f} GB", remedy if total_gb < _COMFORTABLE_SHARED_GB else "")]


def _examine_cache(folder: Path) -> Examined:
    disk = machine.disk_of(folder)
    kind = f" ({disk.file_system})" if disk.file_system else ""
    free_gb = disk.free_bytes / _GB
    found = f"{folder}{kind}, {free_gb:.0f} GB free"
    elsewhere = f"with --cache FOLDER or {CACHE_VARIABLE}"
    if not disk.is_writable:
        return Examined("cache", f"{folder}{kind}, cannot be written to", f"Choose another place {elsewhere}.", True)
    if free_gb < _COMFORTABLE_DISK_GB:
        remedy = f"Free some space, or choose another disk {elsewhere}; the plan of a run says how much it needs."
        return Examined("cache", found, remedy, stops_training=free_gb < _LEAST_DISK_GB)
    if disk.file_system.startswith(_REMOTE_FILE_SYSTEMS):
        return Examined("cache", found, f"A network disk is slow to read patches from; choose a local one {elsewhere}.")
    return Examined("cache", found)
