"""`voxseed review`: what stops it, in a sentence; and a trained run up to verdicts, killed in between."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

CODE = """
import sys
from voxseed.cli.main import main
from voxseed.server import serve
from voxseed.server.page import PageFile
serve.read_page = lambda: {"index.html": PageFile(b"page", "text/html")}
main(["review", *sys.argv[1:], "--no-browser", "--port", "0", "--device", "cpu"])
"""
PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def built_page(monkeypatch):
    """As if the page had been built."""
    from voxseed.server import serve

    monkeypatch.setattr(serve, "read_page", dict)


def test_without_a_run(voxseed, dataset, tmp_path):
    answer = voxseed("review", tmp_path / "nowhere", dataset)
    assert answer.code == 2
    assert "nowhere: no such folder. Give the folder of a run, or of a model." in answer.err


def test_without_a_dataset(voxseed, run, tmp_path):
    answer = voxseed("review", run, tmp_path / "nowhere")
    assert answer.code == 2
    assert "nowhere: no such dataset folder." in answer.err
    assert not (run.parent / "run-review").exists()


def test_with_other_classes(voxseed, run, dataset):
    path = dataset / "dataset.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "labels": {"background": 0, "cube": 1}}))
    answer = voxseed("review", run, dataset)
    assert answer.code == 2
    assert "has no class 'ball', which the model of" in answer.err
    assert not (run.parent / "run-review").exists()


def test_with_no_case_to_correct(voxseed, run, dataset):
    (dataset / "imagesTr").rename(dataset / "imagesTs")
    (dataset / "labelsTr").rename(dataset / "labelsTs")
    answer = voxseed("review", run, dataset)
    assert answer.code == 2
    assert "no case in imagesTr, and only those are reviewed." in answer.err


def test_with_several_annotation_sets(voxseed, run, dataset):
    (dataset / "annotations/points").rename(dataset / "annotations/a")
    (dataset / "annotations/b").mkdir()
    (dataset / "annotations/b/annotations.json").write_text("{}")
    answer = voxseed("review", run, dataset)
    assert answer.code == 2
    assert "several annotation sets, choose the one for corrections of a, b with --annotations." in answer.err


class Server:
    """`voxseed review` in a process of its own, and requests to it."""

    def __init__(self, run: Path, dataset: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(run), str(dataset)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(2)]
        found = re.search(r"(http://\S+)/\?token=(\S+)", self.said[1])
        assert found is not None, self.said
        self.origin, self.token = found.groups()

    def ask(self, method: str, path: str, message: object = None) -> dict:
        headers = {"Authorization": f"Bearer {self.token}", "X-Voxseed-Client": "a", "Content-Type": "application/json"}
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(self.origin + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def predicted(self) -> dict:
        """The review, once no more predictions come."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                found = self.ask("GET", "/api/review")
                if not found["is_predicting"]:
                    return found
            except urllib.error.URLError:
                pass  # not up yet
            time.sleep(0.2)
        raise AssertionError("the predictions did not end")

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_SECONDS)


def until_gone(pids: list[int]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if not any(is_running(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def is_running(pid: int) -> bool:
    """Not so if it is gone, or ended and nobody has asked for its exit code."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes in /proc")
def test_from_a_run_to_verdicts_killed_between(run, dataset):
    out = run.parent / "run-review" / dataset.name
    server = Server(run, dataset)
    assert server.said[0] == f"0 of 4 cases are predicted in {out}.\n"
    assert str(dataset / "annotations" / "points") in server.said[1]
    children = server.children()
    assert children
    server.end(signal.SIGKILL)
    assert until_gone(children)

    server = Server(run, dataset)
    found = server.predicted()
    assert (found["problem"], len(found["cases"])) == ("", 4)
    estimates = [each["estimate"] for each in found["cases"]]
    assert estimates == sorted(estimates)
    assert all(each["has_uncertainty"] for each in found["cases"])  # pa-seg trains two networks
    worst = found["cases"][0]
    message = {"verdict": "flagged", "prediction": worst["prediction"]}
    server.ask("PUT", f"/api/cases/{worst['name']}/verdict", message)
    server.end(signal.SIGKILL)

    server = Server(run, dataset)
    assert server.said[0] == f"4 of 4 cases are predicted in {out}.\n"
    again = server.predicted()["cases"]
    assert [each["prediction"] for each in again] == [each["prediction"] for each in found["cases"]]
    assert [each["verdict"] for each in again] == ["flagged", "undecided", "undecided", "undecided"]
    assert server.end(signal.SIGINT) == 0
    assert sorted(path.name for path in out.glob("*.nii.gz")) == [f"ball_{number}.nii.gz" for number in range(4)]
