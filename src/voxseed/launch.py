"""Processes that torchrun or srun started together, on one machine or several, as their environment tells."""

import os
from dataclasses import dataclass
from typing import Literal

from voxseed.errors import InputError


@dataclass(frozen=True)
class Launch:
    """This process among those that were started together.

    Attributes:
        launcher: what started them.
        rank: of this process, from 0.
        size: processes on all machines.
        local_rank: among those of this machine, from 0.
        per_machine: processes of every machine, one device each.
    """

    launcher: Literal["torchrun", "srun"]
    rank: int
    size: int
    local_rank: int
    per_machine: int

    @property
    def machines(self) -> int:
        """How many there are."""
        return self.size // self.per_machine


def launched() -> Launch | None:
    """Where this process is among those that torchrun or srun started; None if it was started alone.

    A batch script of SLURM that asked for several tasks counts as alone: only srun starts them.

    Raises:
        InputError: if the machines have different numbers of processes, or it is not said how many.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        found = Launch("torchrun", *_numbers("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        rank, size, local_rank = _numbers("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        if size > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise InputError(
                f"srun started {size} processes; how many on each machine? "
                "Give --ntasks-per-node to sbatch or srun, and --nodes instead of --ntasks."
            )
        found = Launch("srun", rank, size, local_rank, size if size == 1 else _numbers("SLURM_NTASKS_PER_NODE")[0])
    else:
        return None
    if found.size % found.per_machine:
        raise InputError(
            f"{found.launcher} started {found.size} processes, {found.per_machine} on this machine. "
            "Start the same number on every machine."
        )
    return found if found.size > 1 else None


def launch_to_join(devices: int | None) -> Launch | None:
    """The processes that a training shares its work with; None if it is alone with those that it starts itself.

    Args:
        devices: as the user gave it; 1 trains in this process alone, whatever started it.

    Raises:
        InputError: if it contradicts what started this process, or as for `launched`.
    """
    found = None if devices == 1 else launched()
    if found is not None and devices not in (None, found.per_machine):
        raise InputError(
            f"--devices {devices}: {found.launcher} started {found.per_machine} processes on this machine, "
            "one for each device. Leave --devices out."
        )
    return found


def process_number() -> int:
    """Number of this process among those that were started together, from 0; 0 if it was started alone."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _numbers("RANK")[0]
    return _numbers("SLURM_PROCID")[0] if "SLURM_STEP_NUM_TASKS" in os.environ else 0


def _numbers(*names: str) -> tuple[int, ...]:
    """Values of environment variables.

    Raises:
        InputError: if one is missing or no number.
    """
    values = []
    for name in names:
        text = os.environ.get(name, "")
        if not text.isdecimal():
            raise InputError(
                f"Environment variable {name}: expected a number, as torchrun or srun sets it, not {text!r}."
            )
        values.append(int(text))
    return tuple(values)
