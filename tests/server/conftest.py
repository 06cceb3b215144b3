"""A dataset to annotate, and the guarded application as a browser or a program meets it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from voxseed.data.datasets import Dataset
from voxseed.server.address import is_allowed_host
from voxseed.server.app import create_app
from voxseed.server.guard import Guard
from voxseed.server.page import PageFile
from voxseed.server.workspace import Workspace, set_place
from voxseed.supervision.expansion import ExpansionSettings

TOKEN = "the-token"
HOST, PORT = "127.0.0.1", 8765
SHAPE = (20, 18, 12)
AFFINE = np.array([[-1.0, 0, 0, 9], [0, -1.5, 0, 4], [0, 0, 2, -7], [0, 0, 0, 1]])
"""LPS: its canonical order is another than that of the file."""
WRITER = {"Authorization": f"Bearer {TOKEN}", "X-Voxseed-Client": "tab-1"}

VOXELS = {
    "inside": (10, 9, 6),
    "left": (15, 9, 6),
    "right": (4, 9, 6),
    "posterior": (10, 14, 6),
    "anterior": (10, 3, 6),
    "inferior": (10, 9, 2),
    "superior": (10, 9, 10),
}
"""Around the cube of `make_dataset`, on its own grid: i runs to the patient's left, j backwards."""


class Cubes:
    """The dataset's cube: where it is, and messages about it."""

    affine, shape, voxels, token, origin = AFFINE, SHAPE, VOXELS, TOKEN, f"http://{HOST}:{PORT}"

    def points(self, *roles: str, **moved: tuple[int, int, int]) -> list[dict[str, object]]:
        """Points of the given roles, or all seven; some elsewhere."""
        voxels = VOXELS | moved
        return [{"role": role, "mm": (AFFINE @ [*voxels[role], 1])[:3].tolist()} for role in (roles or VOXELS)]

    def message(self, *roles: str, number: int = 1, **moved: tuple[int, int, int]) -> dict[str, object]:
        """An object of class cube."""
        return {"class_name": "cube", "object_number": number, "points": self.points(*roles, **moved)}


@pytest.fixture
def cubes() -> Cubes:
    return Cubes()


def make_dataset(root: Path, count: int = 2) -> Dataset:
    data = Dataset.create(root, "Cubes", ["MRI"], ["cube", "ball"])
    rng = np.random.default_rng(0)
    image = rng.normal(0, 4, (1, *SHAPE)).astype(np.float32)
    image[0, 6:14, 5:13, 4:9] += 100
    for number in range(count):
        data.write_case(f"case_{number}", image, AFFINE)
    return data


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def workspace(data: Dataset) -> Iterator[Workspace]:
    workspace = Workspace(data, set_place(data, None))
    yield workspace
    workspace.close()


Connect = Callable[..., TestClient]


@pytest.fixture
def connect(workspace: Workspace) -> Connect:
    """A client with the given headers; the server is the same for all."""
    page = {"index.html": PageFile(b"<p>page</p>", "text/html"), "page.js": PageFile(b"1", "text/javascript")}
    app = create_app(workspace, page, ExpansionSettings())
    guarded = Guard(app, TOKEN, lambda header: is_allowed_host(header, HOST, PORT), max_body_bytes=100_000)

    def client(**headers: str) -> TestClient:
        return TestClient(guarded, base_url=f"http://{HOST}:{PORT}", headers=headers, follow_redirects=False)

    return client


@pytest.fixture
def api(connect: Connect) -> TestClient:
    """A program that knows the token and writes as one client."""
    return connect(**WRITER)
