"""What the environment says of processes that were started together."""

import pytest

from voxseed.errors import InputError
from voxseed.launch import Launch, launch_to_join, launched, process_number

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "6",
    "SLURM_NTASKS_PER_NODE": "3",
}
BATCH_SCRIPT = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    for name in (*TORCHRUN, *SRUN, *BATCH_SCRIPT):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def given(monkeypatch):
    def give(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize(
    ("variables", "expected", "machines", "number"),
    [
        ({}, None, None, 0),
        (TORCHRUN, Launch("torchrun", 5, 8, 1, 4), 2, 5),
        ({**SRUN, **TORCHRUN}, Launch("torchrun", 5, 8, 1, 4), 2, 5),
        (SRUN, Launch("srun", 4, 6, 1, 3), 2, 4),
        (BATCH_SCRIPT, None, None, 0),
        ({**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, None, None, 0),
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, None, None, 0),
        ({"RANK": "3", "WORLD_SIZE": "4"}, None, None, 0),
    ],
    ids=["alone", "torchrun", "torchrun in srun", "srun", "batch script", "one of torchrun", "one of srun", "others'"],
)
def test_a_process_knows_what_started_it(given, variables, expected, machines, number):
    given(variables)
    found = launched()
    assert found == expected
    assert (found and found.machines) == machines
    assert process_number() == number


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({**TORCHRUN, "WORLD_SIZE": "7"}, "torchrun started 7 processes, 4 on this machine.*the same number on every"),
        ({**TORCHRUN, "RANK": ""}, "variable RANK: expected a number, as torchrun or srun sets it, not ''"),
        (
            {name: value for name, value in SRUN.items() if name != "SLURM_NTASKS_PER_NODE"},
            "srun started 6 processes; how many on each machine.*--ntasks-per-node",
        ),
        ({**SRUN, "SLURM_NTASKS_PER_NODE": "4"}, "srun started 6 processes, 4 on this machine"),
    ],
)
def test_what_cannot_be_joined_is_a_sentence(given, variables, sentence):
    given(variables)
    with pytest.raises(InputError, match=sentence):
        launched()


def test_devices_say_whether_to_join(given):
    given(SRUN)
    assert launch_to_join(None) == launch_to_join(3) == launched()
    assert launch_to_join(1) is None
    with pytest.raises(InputError, match=r"--devices 6: srun started 3 processes on this machine.*Leave --devices out"):
        launch_to_join(6)
