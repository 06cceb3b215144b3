"""The command line as a function, and what it is given: a dataset to spoil and a trained run."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_TINY = (
    "networks.primary.width=2",
    "networks.auxiliary.width=2",
    "training.iterations=2",
    "training.epoch_length=2",
    "training.patch_shape=[16, 16, 16]",
    "training.precision=fp32",
)


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


RECORDS = os.environ.get("VOXSEED_RECORD_ERRORS")
"""A file for scripts/error_page.py: what is refused, a JSON object per line."""


@pytest.fixture
def voxseed(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Command:
    """Run a command in this process: `voxseed("dataset", "check", path)`."""
    from voxseed.cli.main import main

    def call(*words: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        answer = Answer(int(left.value.code or 0), captured.out, captured.err)
        if RECORDS and answer.code == 2:
            record = {"test": request.node.name, "words": [str(word) for word in words], "said": answer.err}
            with open(RECORDS, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        return answer

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of `train` that make it a matter of a second; the cache is shared."""
    cache = tmp_path_factory.mktemp("cache")
    settings = tuple(word for setting in _TINY for word in ("--set", setting))
    return ("--device", "cpu", "--cache", str(cache), *settings)


@pytest.fixture(scope="session")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, ...]) -> Path:
    """A finished run of both stages of pa-seg."""
    from voxseed.workflows.train import train

    run = tmp_path_factory.mktemp("runs") / "run"
    return train(tiny_dataset, run=run, overrides=_TINY, device="cpu", cache=tiny[3])


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns(".lock")))


@pytest.fixture
def dataset(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the tiny dataset: ball_0 to ball_3, dense labels, and the annotation set `points`."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
