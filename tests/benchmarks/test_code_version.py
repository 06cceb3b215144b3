"""A change of the code is noticed where numbers depend on it, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from voxseed.benchmarks import code_version
from voxseed.benchmarks.code_version import code_digest

MODULES = {
    "methods/a.py": '"""A."""\nfrom voxseed.losses.b import f\n\n\ndef g():\n    """G."""\n    return f()  # b\n',
    "losses/b.py": "def f():\n    from voxseed import settings\n\n    return settings.X\n",
    "settings.py": "X = 1\n",
    "methods/other.py": "import voxseed.settings\nY = 2\n",
    "methods/__init__.py": "",
    "__init__.py": "import voxseed.methods.other\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in the place of Voxseed."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code_version, "_ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    code_version._imported.cache_clear()
    code_version._module_digest.cache_clear()


@pytest.mark.parametrize(
    ("name", "before", "after", "noticed"),
    [
        ("methods/a.py", "return f()", "return f() + 1", True),
        ("losses/b.py", "return settings.X", "return -settings.X", True),  # imported by the module
        ("settings.py", "X = 1", "X = 3", True),  # imported inside a function of the imported one
        ("methods/a.py", "# b", "# a comment", False),
        ("methods/a.py", '"""G."""', '"""What g does."""', False),
        ("methods/a.py", "\n\n\ndef", "\n\n\n\n\n\ndef", False),
        ("methods/other.py", "Y = 2", "Y = 3", False),
        ("__init__.py", "import voxseed.methods.other", "", False),
    ],
)
def test_what_changes_a_digest(package: Path, name: str, before: str, after: str, noticed: bool) -> None:
    first = code_digest(["voxseed.methods.a"])
    assert before in MODULES[name]
    (package / name).write_text(MODULES[name].replace(before, after))
    forget()
    assert (code_digest(["voxseed.methods.a"]) != first) == noticed


def test_more_modules_give_another_digest(package: Path) -> None:
    both = code_digest(["voxseed.methods.a", "voxseed.methods.other"])
    assert both == code_digest(["voxseed.methods.other", "voxseed.methods.a"])
    assert both != code_digest(["voxseed.methods.a"])


def test_unknown_modules(package: Path) -> None:
    with pytest.raises(ValueError, match="no module"):
        code_digest(["voxseed.methods.nothing"])


def test_the_loop_depends_on_what_it_should() -> None:
    reached = code_version._reached(["voxseed.training.run"])
    for module in ("training.loop", "training.patches", "supervision.geodesic", "data.preprocessing", "methods.base"):
        assert f"voxseed.{module}" in reached
    assert not any(name.split(".")[1] in ("cli", "workflows") for name in reached)
