"""The doctor: what it says of machines that the tests invent, and which problems stop training."""

import re
from types import SimpleNamespace

import pytest
import torch

from voxseed import machine
from voxseed.errors import InputError
from voxseed.machine import Disk
from voxseed.workflows import doctor
from voxseed.workflows.doctor import examine

GB = 10**9


@pytest.fixture
def invented(monkeypatch):
    """A good machine without an NVIDIA device, whose parts a test spoils."""

    def give(**answers):
        for name, answer in answers.items():
            home = machine if hasattr(machine, name) else doctor
            monkeypatch.setattr(home, name, lambda *_, answer=answer: answer)

    give(
        memory_bytes=64 * GB,
        available_memory_bytes=60 * GB,
        memory_limit_bytes=None,
        core_limit=None,
        disk_of=Disk("ext4", 500 * GB, True),
        available_cores=16,
        best_precision="fp32",
        convolution_difference=1e-7,
        nvidia_device_present=False,
        nvidia_driver_version=None,
        resolve_device=torch.device("cpu"),
    )
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.delenv("VOXSEED_CACHE", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return give


def found(what):
    (each,) = [each for each in examine() if each.what == what]
    return each


def test_a_good_machine_has_one_remark(invented):
    examined = examine()
    names = ["python", "voxseed", "torch", "NVIDIA driver", "device", "precision", "memory", "cores", "cache"]
    assert [each.what for each in examined] == names
    assert [each.what for each in examined if each.remedy] == ["device"]  # no NVIDIA device: slow
    assert not any(each.stops_training for each in examined)
    assert found("device").found == "cpu; the test kernel is right"
    assert found("memory").found == "64.0 GB, 60.0 available"
    assert found("cores").found == "16"
    assert found("cache").found == "runs/cache (ext4), 500 GB free"


def raise_error(error):
    raise error


@pytest.mark.parametrize(
    ("answers", "what", "said", "remedy", "stops"),
    [
        ({"memory_limit_bytes": 6 * GB}, "memory", "limited to 6.0 by", "Raise the limit: 8 GB", False),
        ({"memory_limit_bytes": GB}, "memory", "limited to 1.0 by", "Raise the limit", True),
        ({"available_memory_bytes": GB}, "memory", "1.0 available", "Close other programs", True),
        ({"memory_bytes": None}, "memory", "cannot be told", "", False),
        ({"available_cores": 2, "core_limit": 2.5}, "cores", "2 of 16, limited to 2.5", "OMP_NUM_THREADS=2", False),
        ({"available_cores": 4}, "cores", "4 of 16", "would begin 16 threads", False),
        ({"disk_of": Disk("ext4", 10 * GB, True)}, "cache", "10 GB free", "Free some space.*VOXSEED_CACHE", False),
        ({"disk_of": Disk("ext4", GB // 2, True)}, "cache", "0 GB free", "Free some space", True),
        (
            {"disk_of": Disk("ext4", 500 * GB, False)},
            "cache",
            "cannot be written to",
            "another place with --cache",
            True,
        ),
        ({"disk_of": Disk("nfs4", 500 * GB, True)}, "cache", r"\(nfs4\)", "network disk is slow", False),
        ({"convolution_difference": 0.3}, "device", "kernel is wrong in fp32, by 30.0%", "Update the NVIDIA", True),
        ({"convolution_difference": float("nan")}, "device", "kernel is wrong in fp32", "--device cpu", True),
        ({"best_precision": "bf16"}, "precision", "bf16 is best", "", False),
    ],
)
def test_each_problem_has_its_remedy(invented, answers, what, said, remedy, stops):

    invented(**answers)
    each = found(what)
    assert re.search(said, each.found), each
    assert re.search(remedy, each.remedy), each
    assert bool(each.remedy) == bool(remedy)
    assert each.stops_training == stops


def test_a_device_that_cannot_be_used_stops_training(invented, monkeypatch):
    sentence = "An NVIDIA device is present, but this PyTorch is built without CUDA. Install a CUDA build."
    monkeypatch.setattr(doctor, "resolve_device", lambda name: raise_error(InputError(sentence)))
    assert (found("device").remedy, found("device").stops_training) == (sentence, True)


def test_a_kernel_that_fails_stops_training(invented, monkeypatch):
    error = RuntimeError("CUDA error: no kernel image is available\nCompile with ...")
    monkeypatch.setattr(doctor, "convolution_difference", lambda *_: raise_error(error))
    assert found("device").found == "cpu; the test kernel fails in fp32: CUDA error: no kernel image is available"
    assert found("device").stops_training


def test_a_usable_nvidia_device(invented, monkeypatch, tmp_path):
    properties = SimpleNamespace(name="NVIDIA H100", major=9, minor=0, total_memory=80 * GB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=GB // 16, free=0))
    monkeypatch.setattr(doctor, "_SHARED_MEMORY", tmp_path)
    invented(
        nvidia_device_present=True,
        nvidia_driver_version="550.54",
        resolve_device=torch.device("cuda"),
        best_precision="bf16",
    )
    assert found("NVIDIA driver").found == "550.54"
    assert found("device").found == "NVIDIA H100, capability 9.0, 80 GB; the test kernel is right"
    assert found("device").remedy == ""
    assert (found("shared memory").found, found("shared memory").stops_training) == ("0.1 GB", False)
    assert "--shm-size=8g" in found("shared memory").remedy


def test_a_hidden_device_is_said(invented, monkeypatch):
    invented(nvidia_driver_version="550.54")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES='' hides the devices" in found("NVIDIA driver").remedy


def test_the_cache_is_where_training_would_put_it(invented, monkeypatch, tmp_path):
    monkeypatch.setenv("VOXSEED_CACHE", str(tmp_path))
    assert found("cache").found.startswith(f"{tmp_path} (ext4)")
    (given,) = [each for each in examine(tmp_path / "x") if each.what == "cache"]
    assert given.found.startswith(f"{tmp_path / 'x'} ")


def test_this_machine_is_examined_too():
    examined = {each.what: each for each in examine()}
    assert torch.__version__ in examined["torch"].found
    assert "the test kernel is right" in examined["device"].found or examined["device"].stops_training
