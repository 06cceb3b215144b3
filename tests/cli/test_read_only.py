"""Datasets are only read: nothing in them changes, not even for a moment, and permission to write is not needed."""

import os
from pathlib import Path

import pytest


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file and folder; making and removing a file changes its folder's time."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def read_only(dataset):
    """The dataset without permission to write, which binds everybody but root."""
    paths = [dataset, *dataset.rglob("*")]
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))
    for path in reversed(paths):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield dataset
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_every_command_that_reads_a_dataset_leaves_it_as_it_is(voxseed, read_only, tmp_path, tiny, trained):
    before = state(read_only)
    run, out = tmp_path / "run", tmp_path / "out"
    lines = [
        ("dataset", "check", read_only),
        ("dataset", "simulate", read_only, "--protocol", "box", "--out", tmp_path / "boxes"),
        ("dataset", "import", read_only, "--out", tmp_path / "copy"),
        ("expand", read_only, "--out", tmp_path / "grown"),
        ("expand", read_only, "--out", tmp_path / "parts", "--shard", "1/2"),
        ("train", read_only, "--run", run, "--method", "partial", *tiny),
        ("predict", run, read_only, "--out", out, "--probabilities", "--device", "cpu"),
        ("predict", run, read_only, "--out", out, "--shard", "1/1", "--device", "cpu"),
        ("evaluate", out, read_only, "--out", tmp_path / "metrics.csv"),
        ("report", tmp_path / "metrics.csv", "--run", run, "--out", tmp_path / "report.html"),
        ("export", run, "--format", "nnunet", "--dataset", read_only, "--out", tmp_path / "Dataset501_Balls"),
    ]
    for words in lines:
        answer = voxseed(*words)
        assert (answer.code, state(read_only) == before) == (0, True), (words, answer)


def test_the_links_of_a_grown_dataset_do_not_carry_its_permissions(voxseed, read_only, tmp_path):
    assert voxseed("expand", read_only, "--out", tmp_path / "grown").code == 0
    label = tmp_path / "grown" / "labelsTr" / "ball_0.nii.gz"
    assert label.stat().st_mode & 0o200
