"""Fixtures and settings that all tests share."""

import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which torch does late

settings.register_profile("default", deadline=None, max_examples=30)
settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses `real_data`, so that it can be chosen or left out by `-m`."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_data)


def pytest_collection_finish() -> None:
    """Two threads on every machine, so that times and sums are comparable; torch is not imported for this."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(2)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real datasets; tests that use it skip where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("needs ../shared/data")
    return REAL_DATA


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases of 24 × 20 × 16 voxels with a bright ball, dense labels, and seven simulated points each."""
    import numpy as np

    from voxseed.data.datasets import Dataset
    from voxseed.workflows.simulate import simulate

    path = tmp_path_factory.mktemp("data") / "Dataset900_Balls"
    dataset = Dataset.create(path, "Balls", ("MRI",), ("ball",))
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(24), np.arange(20), np.arange(16), indexing="ij"))
    for number in range(4):
        center = np.array([12, 10, 8]) + rng.integers(-2, 3, 3)
        label = (((grid - center[:, None, None, None]) ** 2).sum(axis=0) < 25).astype(np.uint8)
        image = (100 * label + rng.normal(0, 20, label.shape)).astype(np.float32)
        dataset.write_case(f"ball_{number}", image[None], np.diag([1.5, 1.5, 1.5, 1]), label)
    simulate(path, "points", seed=0)
    return path
