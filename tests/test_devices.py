import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from voxseed import devices
from voxseed.devices import best_precision, nvidia_device_present, resolve_device
from voxseed.errors import InputError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine whose driver folder and nvidia-smi the test can choose."""
    monkeypatch.setattr(devices, "_NVIDIA_DRIVER_DEVICES", tmp_path / "gpus")
    monkeypatch.setattr(devices, "_nvidia_smi_list", lambda: machine.listed)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine = SimpleNamespace(listed="", driver_devices=tmp_path / "gpus")
    return machine


def add_driver_device(machine: SimpleNamespace) -> None:
    (machine.driver_devices / "0000:01:00.0").mkdir(parents=True)


def test_without_an_nvidia_device_auto_is_the_cpu(machine: SimpleNamespace) -> None:
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    machine.listed = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    assert not nvidia_device_present()


def test_asking_for_cuda_without_a_device_is_an_error(machine: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="--device cuda: no NVIDIA device found"):
        resolve_device("cuda")


@pytest.mark.parametrize("name", ["auto", "cuda"])
@pytest.mark.parametrize("seen_by", ["driver", "nvidia-smi"])
def test_a_pytorch_without_cuda_is_said_and_never_the_cpu(machine, monkeypatch, name: str, seen_by: str) -> None:
    if seen_by == "driver":
        add_driver_device(machine)
    else:
        machine.listed = "GPU 0: NVIDIA H100 (UUID: GPU-1234)\n"
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(InputError, match=r"is built without CUDA. Install a CUDA build .* --device cpu"):
        resolve_device(name)
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "reason",
    [
        "The NVIDIA driver on your system is too old (found version 11040).",
        "CUDA error: no kernel image is available for execution on the device\nCompile with ...",
    ],
)
def test_a_device_that_cannot_compute_is_said(machine, monkeypatch, reason: str) -> None:
    def fail(*_, **__) -> None:
        raise RuntimeError(reason)

    add_driver_device(machine)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch, "ones", fail)
    with pytest.raises(InputError) as raised:
        resolve_device("auto")
    assert reason.splitlines()[0].rstrip(".") in str(raised.value)
    assert "Update the NVIDIA driver" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_device_that_computes_is_taken(machine, monkeypatch) -> None:
    add_driver_device(machine)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    real_ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *args, device: real_ones(*args))
    assert resolve_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_device_is_absent(machine, monkeypatch, hidden: str) -> None:
    add_driver_device(machine)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert resolve_device("auto") == torch.device("cpu")


def test_an_unknown_device_lists_the_known(machine) -> None:
    with pytest.raises(InputError, match=r"--device mps: unknown device\. Known: auto, cpu, cuda"):
        resolve_device("mps")


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_precision_of_cuda_follows_its_capability(monkeypatch, capability, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert best_precision(torch.device("cuda")) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_precision_of_the_cpu_follows_its_instructions(monkeypatch, native: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert best_precision(torch.device("cpu")) == expected


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-5), ("bf16", 2e-2)])
def test_a_convolution_on_the_cpu_is_right(precision, most: float) -> None:
    assert devices.convolution_difference(torch.device("cpu"), precision) < most


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release Build\n", "570.86"),
        ("something else", None),
        (None, None),
    ],
)
def test_the_version_of_the_driver(tmp_path, monkeypatch, text, expected) -> None:
    monkeypatch.setattr(devices, "_NVIDIA_DRIVER_VERSION", tmp_path / "version")
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert devices.nvidia_driver_version() == expected


def test_importing_devices_does_not_import_torch() -> None:
    code = "import sys, voxseed.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
