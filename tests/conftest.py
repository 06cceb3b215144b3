"""Fixtures and settings that all tests share."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

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
