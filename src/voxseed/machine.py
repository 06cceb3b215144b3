"""What the machine gives to this process: memory, cores and disk, with the limits of containers and job systems."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")
_MEMORY = Path("/proc/meminfo")
_UNLIMITED_BYTES = 2**60
"""Version 1 of cgroups writes about so much where there is no limit."""


@dataclass(frozen=True)
class Disk:
    """Where a folder is, or would be made.

    Attributes:
        file_system: its kind, such as ext4 or nfs4; empty where it cannot be told.
        free_bytes: that this user may fill.
        is_writable: whether this user may make the folder, or write into it.
    """

    file_system: str
    free_bytes: int
    is_writable: bool


def memory_bytes() -> int | None:
    """Memory of the machine; None where the system does not tell."""
    return _memory_entry("MemTotal")


def available_memory_bytes() -> int | None:
    """Memory that can be used without swapping, limits aside; None where the system does not tell."""
    return _memory_entry("MemAvailable")


def memory_limit_bytes() -> int | None:
    """Least limit of the control groups that this process is in; None without any."""
    limits = [int(text) for text in _limits("memory", "memory.max", "memory.limit_in_bytes") if text.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED_BYTES), default=None)


def core_limit() -> float | None:
    """Processor time per time that the control groups of this process allow, in cores; None without a limit."""
    quotas = [text.split() for text in _limits("cpu", "cpu.max", "cpu.cfs_quota_us")]
    periods = _limits("cpu", "", "cpu.cfs_period_us")
    if periods:
        quotas = [[*quota, period] for quota, period in zip(quotas, periods, strict=False)]
    complete = [(quota, period) for quota, *periods in quotas for period in periods[:1]]
    return min((int(quota) / int(period) for quota, period in complete if quota.isdecimal()), default=None)


def disk_of(folder: Path) -> Disk:
    """The disk of a folder that need not exist yet."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    is_writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return Disk(_file_system(place.resolve()), shutil.disk_usage(place).free, is_writable)


def _memory_entry(name: str) -> int | None:
    """An entry of /proc/meminfo, which is in KiB."""
    for line in _lines(_MEMORY):
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None


def _limits(controller: str, name: str, old_name: str) -> list[str]:
    """Content of a file of each control group that this process is in, innermost first; of version 2, or else of 1."""
    for line in _lines(_OWN_CGROUPS):
        _, controllers, own = line.split(":", maxsplit=2)
        if controllers == "" and name:
            root, file = _CGROUPS, name
        elif controller in controllers.split(","):
            root, file = _CGROUPS / controller, old_name
        else:
            continue
        folder = root / own.strip("/")
        # In a container the path may be that of the host: then only the root is there.
        folders = [folder, *(parent for parent in folder.parents if parent == root or root in parent.parents)]
        found = [text.strip() for each in folders if (text := _text(each / file))]
        if found:
            return found
    return []


def _file_system(place: Path) -> str:
    """Kind of the innermost mount that a place lies in."""
    found, depth = "", -1
    for line in _lines(_MOUNTS):
        fields, _, kind = line.partition(" - ")
        mount = Path(fields.split()[4].replace("\\040", " "))
        if place.is_relative_to(mount) and len(mount.parts) >= depth:
            found, depth = kind.split()[0], len(mount.parts)
    return found


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()


def _text(path: Path) -> str:
    """Empty where there is no such file, as on other systems."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
