from pathlib import Path
from types import SimpleNamespace

import pytest

from voxseed import machine
from voxseed.devices import available_cores
from voxseed.files import write_text


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine whose files the test writes."""
    system = SimpleNamespace(cgroups=tmp_path / "cgroups", own=tmp_path / "own", meminfo=tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_CGROUPS", system.cgroups)
    monkeypatch.setattr(machine, "_OWN_CGROUPS", system.own)
    monkeypatch.setattr(machine, "_MEMORY", system.meminfo)
    return system


def test_memory_is_in_bytes(system):
    write_text(system.meminfo, "MemTotal:       1000 kB\nMemFree: 7 kB\nMemAvailable:    250 kB\n")
    assert machine.memory_bytes() == 1_024_000
    assert machine.available_memory_bytes() == 256_000


@pytest.mark.parametrize(
    ("own", "files", "cores", "memory"),
    [
        ("0::/\n", {"cpu.max": "250000 100000", "memory.max": "4096"}, 2.5, 4096),
        ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        (
            "0::/slurm/job\n",
            {"slurm/job/cpu.max": "400000 100000", "slurm/cpu.max": "150000 100000", "slurm/memory.max": "77"},
            1.5,
            77,
        ),
        ("0::/on/the/host\n", {"cpu.max": "100000 100000", "memory.max": "5"}, 1.0, 5),
        (
            "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n",
            {
                "cpu/a/cpu.cfs_quota_us": "300000",
                "cpu/a/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/a/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.limit_in_bytes": "123",
            },
            3.0,
            123,
        ),
        ("", {}, None, None),
    ],
)
def test_limits_of_control_groups(system, own, files, cores, memory):
    write_text(system.own, own)
    for name, text in files.items():
        write_text(system.cgroups / name, text + "\n")
    assert machine.core_limit() == cores
    assert machine.memory_limit_bytes() == memory


@pytest.mark.parametrize(("limit", "expected"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_cores_are_those_of_affinity_within_the_limit(monkeypatch, limit, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "core_limit", lambda: limit)
    assert available_cores() == expected


def test_a_system_that_tells_nothing(system):
    assert machine.memory_bytes() is None
    assert machine.memory_limit_bytes() is None
    assert machine.core_limit() is None


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    inner = f"3 1 0:3 / {tmp_path.resolve()} rw shared:1 - nfs4 server:/x rw\n"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n{inner}2 1 0:2 / /no/such rw - tmpfs x rw\n")
    monkeypatch.setattr(machine, "_MOUNTS", mounts)
    disk = machine.disk_of(tmp_path / "not" / "yet")
    assert (disk.file_system, disk.is_writable) == ("nfs4", True)
    assert disk.free_bytes > 0
    assert not machine.disk_of(mounts / "below-a-file").is_writable
