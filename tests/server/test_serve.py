"""The real server in a process of its own: killed between a click and its answer, nothing that was answered is lost."""

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

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import read_label
from voxseed.errors import InputError
from voxseed.server.page import read_page

CODE = """
import sys
from voxseed.server import serve
from voxseed.server.page import PageFile
serve.read_page = lambda: {"index.html": PageFile(b"page", "text/html")}
serve.annotate(sys.argv[1], None, "127.0.0.1", 0, False, lambda line: print(line, flush=True))
"""


class Server:
    """A server, and requests to it."""

    def __init__(self, root: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(root)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        found = re.search(r"(http://\S+)/\?token=(\S+)", self.process.stdout.readline())
        assert found is not None
        self.origin, self.token = found.groups()
        self._until_it_answers()

    def ask(self, method: str, path: str, message: object = None) -> dict:
        headers = {"Authorization": f"Bearer {self.token}", "X-Voxseed-Client": "a", "Content-Type": "application/json"}
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(self.origin + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def _until_it_answers(self) -> None:
        for _ in range(200):
            try:
                self.ask("GET", "/api/dataset")
                return
            except urllib.error.URLError:
                time.sleep(0.05)
        raise AssertionError("the server never answered")


@pytest.mark.slow
def test_killed_at_any_moment_what_was_answered_is_there(data, cubes):
    """Points and strokes are sent without pause until the server is killed in the middle of it."""
    roles = list(cubes.voxels)
    for delay in (0.02, 0.11, 0.23, 0.4):
        server = Server(data.root)
        known = server.ask("GET", "/api/cases/case_0")["objects"]
        answered_points = len(known[0]["points"]) if known else 0
        answered_strokes, sent_points, sent_strokes = -1, answered_points, -1
        killer = subprocess.Popen(["sh", "-c", f"sleep {delay}; kill -9 {server.process.pid}"])
        try:
            for number in range(10_000):
                sent_points = number % 7 + 1
                server.ask("PUT", "/api/cases/case_0/objects", cubes.message(*roles[:sent_points]))
                answered_points = sent_points
                edit = {"axis": 2, "index": 1, "runs": [[0, number % 300 + 1, 1], [number % 300 + 1, 50, 255]]}
                sent_strokes = number % 300 + 1
                server.ask("PATCH", "/api/cases/case_0/painted", {"slices": [edit]})
                answered_strokes = sent_strokes
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        killer.wait()
        assert server.process.wait() == -signal.SIGKILL

        again = Server(data.root)
        found = again.ask("GET", "/api/cases/case_0")["objects"]
        again.process.send_signal(signal.SIGINT)
        again.process.wait(20)
        assert (len(found[0]["points"]) if found else 0) in (answered_points, sent_points)
        if answered_strokes > 0:
            label = read_label(data.root / "annotations" / "page" / "case_0.nii.gz")
            assert (label.array == 1).sum() in (answered_strokes, sent_strokes)
        assert not [path for path in (data.root / "annotations" / "page").rglob("*") if path.name.endswith(".tmp")]
        Dataset.open(data.root).annotations("page")


def test_without_the_page_one_sentence_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no annotation page.*make web"):
        read_page(tmp_path)
