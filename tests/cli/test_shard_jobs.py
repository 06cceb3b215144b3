"""Several jobs on one output folder never write the same case twice."""

import subprocess
import sys
from pathlib import Path

import pytest

_JOB = """
import sys
from pathlib import Path
import voxseed.workflows.predict as module

write = module.write_volume
def logged(path, volume):
    with open(sys.argv[4], "a") as log:
        log.write(f"{path.name}\\n")
    write(path, volume)
module.write_volume = logged
print("ready", flush=True)
sys.stdin.readline()
module.predict(sys.argv[1], [sys.argv[2]], sys.argv[3], shard=sys.argv[5], device="cpu")
"""


@pytest.mark.slow
@pytest.mark.parametrize("parts", [("1/2", "2/2"), ("1/1", "1/1")], ids=["two parts", "the same part twice"])
def test_two_jobs_on_one_folder_write_every_case_once(
    tiny_dataset: Path, trained: Path, tmp_path: Path, parts: tuple[str, str]
) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", _JOB, *map(str, (trained, tiny_dataset, out, log, part))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    for job in jobs:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
    for job in jobs:
        assert job.stdin is not None
        job.stdin.write("\n")
        job.stdin.flush()
    for job in jobs:
        job.communicate(timeout=120)
        assert job.returncode == 0
    names = [f"ball_{number}.nii.gz" for number in range(4)]
    assert sorted(log.read_text().split()) == names
    assert sorted(path.name for path in out.glob("*.nii.gz")) == names
    cases = [line.split(",")[0] for line in (out / "volumes.csv").read_text().splitlines()[1:] if ",all," in line]
    assert cases == [f"ball_{number}" for number in range(4)]
