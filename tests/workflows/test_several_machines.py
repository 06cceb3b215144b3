"""Training with processes of several machines, which here are two network namespaces joined by a cable."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import safetensors.torch
import torch

from voxseed.workflows.train import train

ADDRESSES = ("10.77.0.1", "10.77.0.2")
CABLE = "cable"
PORT = 29517
SETTINGS = (
    "networks.primary.width=2",
    "training.iterations=6",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
    "training.foreground_share=1",
    "training.precision=fp32",
)

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module")
def machines() -> Iterator[list[str]]:
    """Names of two network namespaces whose interfaces `CABLE` are joined."""
    names = [f"voxseed-{os.getpid()}-{number}" for number in (0, 1)]
    commands = [["netns", "add", name] for name in names]
    commands += [["link", "add", CABLE, "netns", names[0], "type", "veth", "peer", "name", CABLE, "netns", names[1]]]
    for name, address in zip(names, ADDRESSES, strict=True):
        commands += [["-n", name, "address", "add", f"{address}/24", "dev", CABLE]]
        commands += [["-n", name, "link", "set", device, "up"] for device in (CABLE, "lo")]
    try:
        for command in commands:
            subprocess.run(["ip", *command], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs the command ip")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs network namespaces: {error.stderr.strip()}")
    else:
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def torchrun(rank: int) -> list[str]:
    """What starts the process of one machine. `--` ends torchrun's own options: it would take --run for one."""
    words = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    words += ["--node-rank", str(rank), "--master-addr", ADDRESSES[0], "--master-port", str(PORT)]
    return [*words, "-m", "--", "voxseed"]


def slurm(rank: int) -> dict[str, str]:
    """The environment that srun gives to one of two tasks on two nodes."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "voxseed",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_NODELIST": "voxseed-[0-1]",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": str(rank),
        "MASTER_ADDR": ADDRESSES[0],
    }


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Kill what a failed test leaves."""
    yield
    for process in STARTED:
        with process:
            process.kill()
    STARTED.clear()


def start(
    machine: str, command: Sequence[str], dataset: Path, run: Path, *options: str, **variables: str
) -> subprocess.Popen[str]:
    """Train in a namespace."""
    words = ["ip", "netns", "exec", machine, *command, "train", str(dataset), "--run", str(run), "--device", "cpu"]
    words += ["--method", "partial", *options, *(word for setting in SETTINGS for word in ("--set", setting))]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": CABLE, "OMP_NUM_THREADS": "1", **variables}
    STARTED.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return STARTED[-1]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model" / "weights.safetensors")


@pytest.fixture(scope="module")
def doubled(tiny_dataset, tmp_path_factory) -> Path:
    """Trained by one process with the doubled batch."""
    run = tmp_path_factory.mktemp("doubled") / "run"
    settings = (*SETTINGS, "training.batch_size=2")
    return train(tiny_dataset, method="partial", run=run, overrides=settings, device="cpu", devices=1)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_two_machines_learn_what_one_process_learns_from_a_double_batch(
    machines, tiny_dataset, doubled, tmp_path, launcher
):
    run = tmp_path / "run"
    processes = [
        start(machine, torchrun(rank), tiny_dataset, run)
        if launcher == "torchrun"
        else start(machine, [sys.executable, "-m", "voxseed"], tiny_dataset, run, **slurm(rank))
        for rank, machine in enumerate(machines)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "Trained:" in outputs[0][0]
    assert outputs[1][0] == "", "the second process is silent"
    for name, value in weights(doubled).items():
        torch.testing.assert_close(weights(run)[name], value, rtol=0, atol=1e-5)
    assert torch.load(run / "stages" / "01-partial" / "last.ckpt", weights_only=True)["world_size"] == 2


def start_both(machines: Sequence[str], datasets: Sequence[Path], run: Path) -> list[subprocess.Popen[str]]:
    """The two tasks of a job, that goes on or starts."""
    command = [sys.executable, "-m", "voxseed"]
    return [
        start(machine, command, dataset, run, "--resume", **slurm(rank))
        for rank, (machine, dataset) in enumerate(zip(machines, datasets, strict=True))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "codes", "sentence"),
    [
        ((signal.SIGINT, signal.SIGINT), {1, 3}, "Go on with the same command"),
        ((signal.SIGTERM, signal.SIGTERM), {1, 3}, "Go on with the same command"),
        ((None, signal.SIGKILL), {1, -signal.SIGKILL}, "another process of this training has ended"),
    ],
    ids=["Ctrl-C", "SIGTERM", "one killed"],
)
def test_what_ends_one_machine_ends_all_and_the_job_goes_on(
    machines, tiny_dataset, doubled, tmp_path, signals, codes, sentence
):
    run = tmp_path / "run"
    processes = start_both(machines, [tiny_dataset] * 2, run)
    while not (run / "stages" / "01-partial" / "last.ckpt").exists():
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    for process, number in zip(processes, signals, strict=True):
        if number is not None:
            process.send_signal(number)
    outputs = [process.communicate(timeout=300) for process in processes]
    found = {process.returncode for process in processes}
    assert found <= codes
    assert max(codes) in found, "what srun passes on, the highest, says whether the job is to be requeued"
    assert any(sentence in error for _, error in outputs), outputs
    assert not any("Traceback" in error for _, error in outputs), outputs
    processes = start_both(machines, [tiny_dataset] * 2, run)
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    for name, value in weights(doubled).items():
        torch.testing.assert_close(weights(run)[name], value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_machines_that_see_other_data_are_refused(machines, tiny_dataset, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    first, second = sorted((other / "imagesTr").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    processes = start_both(machines, [tiny_dataset, other], tmp_path / "run")
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [1, 2], outputs
    assert "are not those that the first process sees" in " ".join(outputs[1][1].split())
    assert "another process of this training has ended" in " ".join(outputs[0][1].split())
