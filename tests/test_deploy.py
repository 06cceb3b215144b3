"""Recipes for machines and the list of licences: what can be known of them without building anything."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
sys.path.insert(0, str(ROOT / "scripts"))

import licences  # noqa: E402


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of a Dockerfile."""
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_docker_recipe_is_sound_and_copies_what_is_there():
    found = instructions(DEPLOY / "Dockerfile")
    known = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD"}
    assert found[0][0] == "FROM"
    assert {word for word, _ in found} <= known
    for sources in (rest.split()[:-1] for word, rest in found if word == "COPY"):
        assert all((ROOT / source).exists() for source in sources), sources
    assert "latest" not in found[0][1], "an image that changes by itself"


def test_the_apptainer_recipe_has_its_sections_and_copies_what_is_there():
    text = (DEPLOY / "voxseed.def").read_text()
    sections = re.findall(r"^%(\w+)", text, re.MULTILINE)
    assert sections == ["files", "post", "environment", "runscript", "test"]
    assert re.search(r"^Bootstrap: docker\nFrom: python:3\.11-slim$", text, re.MULTILINE)
    files = text.split("%files")[1].split("%post")[0].split()
    assert all((ROOT / source).exists() for source in files[::2])


def test_both_install_the_same():
    commands = [
        re.search(r'-c constraints\.txt "(\.\[.*\])"', (DEPLOY / name).read_text())
        for name in ("Dockerfile", "voxseed.def")
    ]
    assert [match and match[1] for match in commands] == [".[dicom,onnx]"] * 2


@pytest.mark.parametrize("name", ["train.sbatch", "predict.sbatch"])
def test_scripts_of_jobs_are_shell(name):
    subprocess.run(["bash", "-n", DEPLOY / name], check=True)
    lines = (DEPLOY / name).read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    first_command = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    options = [index for index, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert max(options) < first_command, "SLURM reads no option after the first command"
    assert "#SBATCH --requeue" in lines


def shellcheck(text: str, shell: str) -> None:
    """What ShellCheck has to say of a script, which is nothing."""
    program = linter("shellcheck")
    words = [program, "--shell", shell, "-"]
    found = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def linter(name: str) -> str:
    """A program that the test tools bring, beside this Python."""
    program = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"needs {name}")
    return program


@pytest.mark.parametrize("path", [*sorted(DEPLOY.glob("*.sbatch")), ROOT / ".ci/run"], ids=lambda path: path.name)
def test_shellcheck_accepts_the_scripts(path):
    shellcheck(path.read_text(), "bash")


@pytest.mark.parametrize("section", ["post", "environment", "runscript", "test"])
def test_shellcheck_accepts_the_sections_of_the_apptainer_recipe(section):
    text = (DEPLOY / "voxseed.def").read_text().split(f"%{section}\n")[1].split("\n%")[0]
    shellcheck(re.sub("^    ", "", text, flags=re.MULTILINE), "sh")


def test_hadolint_accepts_the_docker_recipe():
    found = subprocess.run([linter("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_linters_find_what_is_wrong(tmp_path):
    with pytest.raises(AssertionError, match="SC2086"):
        shellcheck("#!/bin/bash\nls $1\n", "bash")
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /src\n")
    words = [linter("hadolint"), tmp_path / "Dockerfile"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (2, False), (3, True)])
def test_a_job_that_can_be_resumed_is_requeued(tmp_path, code, requeued):
    for name, text in {
        "srun": f'echo "$@" >> {tmp_path}/log; exit {code}',
        "scontrol": f'echo "scontrol $@" >> {tmp_path}/log',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "17"}
    words = ["bash", DEPLOY / "train.sbatch", "data", "runs/first", "--method", "partial"]
    assert subprocess.run(words, env=environment, check=False).returncode == code
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "voxseed train data --run runs/first --resume --log-file runs/first.jsonl --method partial"
    assert lines[1:] == (["scontrol requeue 17"] if requeued else [])


@pytest.mark.slow
def test_a_job_is_stopped_requeued_and_goes_on_to_its_end(tiny_dataset, tmp_path):
    """The script as it is, around a real training; SLURM alone is played."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "srun": 'exec "$@"',
        "scontrol": f'echo "$@" >> {tmp_path}/requeued',
        "voxseed": f'echo $$ > {tmp_path}/pid; exec {sys.executable} -m voxseed "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    environment["SLURM_CPUS_PER_TASK"] = "1"
    run = tmp_path / "run"
    settings = ("networks.primary.width=2", "training.iterations=40", "training.epoch_length=2", "training.seed=1")
    words = ["bash", DEPLOY / "train.sbatch", tiny_dataset, run, "--method", "partial", "--device", "cpu"]
    words += [word for setting in (*settings, "training.patch_shape=[16, 16, 16]") for word in ("--set", setting)]
    job = subprocess.Popen(words, env=environment)
    while not (run / "stages" / "01-partial" / "last.ckpt").exists():
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGINT)
    assert job.wait(120) == 3
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    assert subprocess.run(words, env=environment, check=False).returncode == 0
    assert (tmp_path / "requeued").read_text() == "requeue 17\n", "a job that is done is not requeued"
    assert (run / "model" / "weights.safetensors").exists()
    ends = [json.loads(line) for line in Path(f"{run}.jsonl").read_text().splitlines() if '"end"' in line]
    assert [each["exit_code"] for each in ends] == [3, 0]


def test_the_parts_of_an_array_are_all_of_them(tmp_path):
    (tmp_path / "srun").write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/log\n')
    (tmp_path / "srun").chmod(0o755)
    for task in (4, 5, 6):
        environment = {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_ARRAY_TASK_MIN": "4",
            "SLURM_ARRAY_TASK_COUNT": "3",
        }
        subprocess.run(["bash", DEPLOY / "predict.sbatch", "run", "images", "out"], env=environment, check=True)
    parts = [line.split()[-1] for line in (tmp_path / "log").read_text().splitlines()]
    assert parts == ["1/3", "2/3", "3/3"]


def test_every_pinned_package_has_a_licence_in_the_list():
    pins = [line.strip().partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()]
    expected = [(name, version) for name, pin, version in pins if pin]
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/licences.md").read_text().splitlines()[7:]]
    assert [(row[0], row[1]) for row in rows] == expected, "run python scripts/licences.py"
    assert all(len(row) == 3 and row[2] for row in rows)


@pytest.mark.parametrize(("name", "expected"), [("numpy", "BSD-3-Clause"), ("nvidia-cublas", "CUDA Toolkit EULA")])
def test_licences_are_those_of_the_metadata(name, expected):
    assert expected in licences.licence_of(name)
    if name == "numpy":
        assert licences.stated(distribution(name)) == licences.licence_of(name)


def test_a_package_without_licence_stops_the_script():
    with pytest.raises(SystemExit, match="no-such-package is not installed"):
        licences.licence_of("no-such-package")
