"""Processes that train together: the first decides, writes and speaks; all of them compute.

Where this process starts the others itself, it is alone here: they exist only inside Lightning's `fit`. Where torchrun
or srun started them, on one machine or several, each runs the whole command, and here they agree on what is done once.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from voxseed.errors import InputError, LostProcessError
from voxseed.launch import Launch

T = TypeVar("T")
ARRIVAL = timedelta(minutes=10)
"""How long the processes wait for each other as they start."""
PATIENCE = timedelta(days=1)
"""How long they wait while one works alone: on the cache, new targets, or validation."""

_meetings = count()


@dataclass(frozen=True)
class Team:
    """This process and those that it trains with.

    Attributes:
        launch: how they were started; None if this process is alone.
        talk: for what they tell each other, on the CPU.
    """

    launch: Launch | None = None
    talk: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process decides, writes and speaks."""
        return self.launch is None or self.launch.rank == 0

    def first(self, work: Callable[[], T]) -> T:
        """What the first process gets from `work`, in every process. All processes call this in the same order.

        Raises:
            LostProcessError: if another process has ended.
        """
        if self.launch is None:
            return work()
        told = [work() if self.is_first else None]
        with self.losses_explained():
            dist.broadcast_object_list(told, src=0, group=self.talk, device=torch.device("cpu"))
        return told[0]  # type: ignore[return-value]

    def once_per_machine(self, work: Callable[[], T]) -> T:
        """What `work` gives, which one process of each machine does before the others find it done.

        Raises:
            LostProcessError: if another process has ended.
        """
        if self.launch is None or self.launch.per_machine == 1:
            return work()
        if self.launch.local_rank == 0:
            result = work()
            self.wait()
            return result
        self.wait()
        return work()

    def wait(self) -> None:
        """Go on when every process is here.

        Raises:
            LostProcessError: if another process has ended.
        """
        if self.launch is not None:
            with self.losses_explained():
                dist.barrier(group=self.talk)

    @contextmanager
    def losses_explained(self) -> Iterator[None]:
        """Turn what a process sees when another one has ended into a sentence.

        Raises:
            LostProcessError: in place of it.
        """
        try:
            yield
        except RuntimeError as error:
            if self.launch is None or not _is_loss(error):
                raise
            raise LostProcessError(
                f"{socket.gethostname()}: another process of this training has ended, as its own message says, or the "
                "network to it failed. Everything up to the last finished epoch is kept: go on with the same command "
                "and --resume."
            ) from error

    def environment(self) -> ClusterEnvironment:
        """What Lightning is to know of the processes; it would guess otherwise."""
        if self.launch is None:
            return LightningEnvironment()
        # The job's script requeues it: Lightning would write checkpoints of its own for that.
        return TorchElasticEnvironment() if self.launch.launcher == "torchrun" else SLURMEnvironment(auto_requeue=False)


ALONE = Team()


@contextmanager
def joined(launch: Launch | None, device: str) -> Iterator[Team]:
    """Meet the other processes; part from them when all are done.

    Args:
        launch: how they were started; None for this process alone.
        device: "cpu" or "cuda".

    Raises:
        InputError: if they do not arrive, or there are fewer devices than processes.
    """
    if launch is None:
        yield ALONE
        return
    if device == "cuda":
        _take_own_device(launch)
    team = Team(launch)
    _meet(team, launch, device)
    team = Team(launch, dist.new_group(backend="gloo", timeout=PATIENCE))
    yield team
    team.wait()
    dist.destroy_process_group()


def _take_own_device(launch: Launch) -> None:
    found = torch.cuda.device_count()
    if found < launch.per_machine:
        raise InputError(
            f"{socket.gethostname()}: {launch.per_machine} processes, but each sees {found} GPU(s). "
            "Ask for as many GPUs per machine as processes, with --gres=gpu:N and not per task."
        )
    torch.cuda.set_device(launch.local_rank)


def _meet(team: Team, launch: Launch, device: str) -> None:
    environment = team.environment()
    address, port = environment.main_address, environment.main_port
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = address, str(port)
    try:
        store, _, _ = next(rendezvous("env://", launch.rank, launch.size, timeout=ARRIVAL))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{address}:{port}: {launch.size} processes were to meet here, and did not within "
            f"{ARRIVAL.seconds // 60} minutes: {str(error).splitlines()[0]} "
            "Start the same command on every machine, and let all of them reach this address."
        ) from None
    store = PrefixStore(f"voxseed-{next(_meetings)}", store)  # torchrun's store outlives a training
    _require_one_kind(store, launch, device)
    dist.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        store=store,
        rank=launch.rank,
        world_size=launch.size,
        timeout=PATIENCE,
        device_id=torch.device("cuda", launch.local_rank) if device == "cuda" else None,
    )


def _require_one_kind(store: Store, launch: Launch, device: str) -> None:
    """Devices of two kinds would wait for each other for ever."""
    store.set(f"device-{launch.rank}", device)
    found = [store.get(f"device-{rank}").decode() for rank in range(launch.size)]
    if len(set(found)) > 1:
        raise InputError(
            f"--device: {found.count('cuda')} of {launch.size} processes found a GPU. "
            "Repair the other machines or leave them out, or use --device cpu."
        )


def _is_loss(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(part in str(error) for part in _SIGNS_OF_LOSS)


_SIGNS_OF_LOSS = ("onnection closed by peer", "onnection reset by peer", "Broken pipe", "Timed out waiting")
