"""A room imports only from floors below its own, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "voxseed"
FLOORS = {
    "cli": 9,
    "server": 8,
    "workflows": 7,
    "evaluation": 6,
    "benchmarks": 6,
    "training": 5,
    "inference": 4,
    "methods": 3,
    "supervision": 2,
    "losses": 2,
    "networks": 2,
    "metrics": 2,
    "data": 1,
    "settings": 0,
    "errors": 0,
    "types": 0,
    "registry": 0,
    "files": 0,
    "devices": 0,
    "launch": 0,
    "machine": 0,
    "progress": 0,
    "parallel": 0,
    "shell": 0,
    "__version__": 0,
}
OUTSIDE_THE_HOUSE = {"__init__", "__main__"}  # the package's front: offers what lives on any floor
HEAVY = (
    "torch",
    "monai",
    "numba",
    "matplotlib",
    "SimpleITK",
    "pytorch_lightning",
    "lightning",
    "pydicom",
    "skimage",
    "scipy.stats",
)
WEB = ("fastapi", "starlette", "uvicorn")
FORBIDDEN = {
    "data": ("torch", "monai", "pytorch_lightning", "lightning", *WEB),
    "inference": ("pytorch_lightning", "lightning", *WEB),
    "methods": ("pytorch_lightning", "lightning", *WEB),
}
MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def room_of(module: str) -> str:
    """`voxseed.data.volumes` lies in the room `data`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything a module imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(room: str, source: str) -> list[str]:
    """What a module of that room imports and must not."""
    found = []
    for name in imports_of(ast.parse(source)):
        package = name.split(".")[0]
        if package != "voxseed":
            found += [name for forbidden in FORBIDDEN.get(room, ()) if package == forbidden]
        elif not may_import(room, name):
            found.append(name)
    return found


def may_import(room: str, name: str) -> bool:
    """Down, within the room, on the ground floor, and from anywhere on floor 2 the types in `supervision.kinds`."""
    other = room_of(name)
    if other == room or FLOORS[other] < FLOORS[room]:
        return True
    if FLOORS[room] == FLOORS[other] == 0:
        return True
    return FLOORS[room] == 2 and f"{name}.".startswith("voxseed.supervision.kinds.")


@pytest.mark.parametrize(
    ("room", "source", "expected"),
    [
        ("data", "from voxseed.types import Shape3", []),
        ("data", "from voxseed.data.volumes import Volume", []),
        ("data", "import torch.nn", ["torch.nn"]),
        ("data", "def f():\n    from torch import nn", ["torch.nn"]),
        ("data", "from voxseed import losses", ["voxseed.losses"]),
        ("losses", "from voxseed.supervision.kinds import Supervision", []),
        ("losses", "from voxseed.supervision import expansion", ["voxseed.supervision.expansion"]),
        ("losses", "import voxseed.networks.unet", ["voxseed.networks.unet"]),
        ("inference", "from pytorch_lightning import Trainer", ["pytorch_lightning.Trainer"]),
        ("losses", "from voxseed.supervision import kinds", []),
        ("files", "from voxseed.errors import InputError", []),
        ("errors", "from voxseed.data.volumes import Volume", ["voxseed.data.volumes.Volume"]),
        ("cli", "from voxseed.workflows import train", []),
    ],
)
def test_violations_of_one_import(room: str, source: str, expected: list[str]) -> None:
    assert violations(room, source) == expected


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_imports_only_from_below(module: Path) -> None:
    room = module.parts[0].removesuffix(".py")
    if room in OUTSIDE_THE_HOUSE:
        return
    assert room in FLOORS, f"{room} is on no floor: give it one in docs/architecture.md and here"
    assert violations(room, (SOURCE / module).read_text(encoding="utf-8")) == []


def loaded_after(statement: str, *packages: str) -> list[str]:
    """Which of the packages a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*[name for name in {packages!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("module", ["voxseed", "voxseed.cli.main"])
def test_import_loads_nothing_heavy(module: str) -> None:
    assert loaded_after(f"import {module}", *HEAVY, *WEB) == []


def test_floor_0_and_data_do_not_load_torch() -> None:
    names = [
        ".".join(("voxseed", *module.with_suffix("").parts)).removesuffix(".__init__")
        for module in MODULES
        if FLOORS.get(module.parts[0].removesuffix(".py"), 9) <= 1
    ]
    assert loaded_after("import " + ", ".join(names), *FORBIDDEN["data"]) == []
