"""What processes tell each other, and what of a loss holds when its batch is divided among them."""

import multiprocessing
import os
import socket
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

from voxseed.errors import InputError, LostProcessError
from voxseed.launch import Launch
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.training.team import ALONE, Team, _require_one_kind, joined
from voxseed.types import IGNORE


def test_one_process_does_everything_itself():
    done = []
    assert ALONE.is_first
    assert ALONE.first(lambda: done.append("first") or 3) == 3
    assert ALONE.once_per_machine(lambda: done.append("machine") or 4) == 4
    ALONE.wait()
    assert done == ["first", "machine"]


def test_other_errors_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="gloo"), ALONE.losses_explained():
        raise RuntimeError("gloo: said in a process that is alone")
    with pytest.raises(RuntimeError, match="shapes"), Team(Launch("srun", 0, 2, 0, 1)).losses_explained():
        raise RuntimeError("shapes differ")
    team = Team(Launch("srun", 0, 2, 0, 1))
    with pytest.raises(LostProcessError, match="another process of this training"), team.losses_explained():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.0.0.2]:1234")


def _work(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "SLURM_PROCID": str(rank)}
    os.environ |= {"SLURM_NTASKS": "3", "SLURM_NTASKS_PER_NODE": "3", "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
    made = folder / "made"

    def make() -> int:
        assert rank == 0 or made.exists(), "the others come when it is done"
        made.touch()
        return rank

    with joined(Launch("srun", rank, 3, rank, 3), "cpu") as team:
        told = team.first(lambda: {"rank": rank, "weights": torch.full((2,), float(rank))})
        assert told["rank"] == 0
        assert told["weights"].tolist() == [0, 0]
        assert team.once_per_machine(make) == rank
        if rank == 2:
            os._exit(9)
        with pytest.raises(LostProcessError):
            team.wait()
        (folder / f"{rank} is told").touch()
        os._exit(0)


def test_three_processes_agree_and_notice_a_loss(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_work, args=(rank, tmp_path, port)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0 is told", "1 is told", "made"]


@pytest.mark.parametrize(("devices", "refused"), [(("cuda", "cuda"), False), (("cpu", "cuda"), True)])
def test_devices_of_two_kinds_are_refused(devices, refused):
    store = HashStore()
    store.set("device-1", devices[1])
    with pytest.raises(InputError, match="1 of 2 processes found a GPU") if refused else nullcontext():
        _require_one_kind(store, Launch("srun", 0, 2, 0, 1), devices[0])


@pytest.mark.parametrize(("blank", "factor"), [((), 1.0), ((1,), 0.5), ((0, 1), 1.0)], ids=["none", "one", "both"])
def test_a_divided_batch_gives_the_same_loss_unless_a_process_has_nothing_to_say(blank, factor):
    """Two processes of one sample against one of two: as docs/deployment.md has it."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(2, 2, 4, 4, 4)))
    target = torch.from_numpy(rng.integers(0, 2, (2, 1, 4, 4, 4)))
    target[list(blank)] = IGNORE
    loss = PartialSupervisionLoss()
    together = loss(logits, target)
    divided = torch.stack([loss(logits[[sample]], target[[sample]]) for sample in (0, 1)]).mean()
    torch.testing.assert_close(divided, factor * together)
