"""scripts/dev.py: which Python it takes, when it installs, and what it passes through."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "dev.py"


@pytest.fixture
def dev() -> ModuleType:
    specification = importlib.util.spec_from_file_location("dev", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "constraints.txt").write_text("# pins\ntorch==2.13.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


@pytest.fixture
def installs(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the script would have done, in order; an environment made here counts as working."""
    done: list[str] = []

    def make(folder: Path, python: str) -> None:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        done.append("make")

    def install(root: Path, python: Path, with_test_tools: bool) -> None:
        done.append("install with test tools" if with_test_tools else "install")

    monkeypatch.setattr(dev, "make_environment", make)
    monkeypatch.setattr(dev, "install", install)
    monkeypatch.setattr(dev, "find_python", lambda: "python3")
    monkeypatch.setattr(dev, "probe", lambda command: command[0])
    return done


def test_old_pythons_can_read_the_script() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["demo"], ["make", "install"]),
        (["demo", "demo"], ["make", "install"]),
        (["demo", "test"], ["make", "install", "install with test tools"]),
        (["test", "demo"], ["make", "install with test tools"]),
        (["demo", "pyproject", "demo"], ["make", "install", "install"]),
        (["test", "pyproject", "demo"], ["make", "install with test tools", "install with test tools"]),
        (["demo", "constraints", "demo"], ["make", "install", "make", "install"]),
        (["demo", "damaged stamp", "demo"], ["make", "install", "make", "install"]),
    ],
    ids=" ".join,
)
def test_what_is_installed_when(
    dev: ModuleType, clone: Path, installs: list[str], steps: list[str], expected: list[str]
) -> None:
    for step in steps:
        if step == "pyproject":
            (clone / "pyproject.toml").write_text("[project]\nname = 'other'\n")
        elif step == "constraints":
            (clone / "constraints.txt").write_text("torch==2.14.0\n")
        elif step == "damaged stamp":
            (clone / ".venv" / "voxseed-stamp.json").write_text("{")
        else:
            dev.environment(clone, needs_test_tools=step == "test")
    assert installs == expected


def test_an_interrupted_installation_is_done_again(
    dev: ModuleType, clone: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.environment(clone, needs_test_tools=False)
    finished = dev.install
    monkeypatch.setattr(dev, "install", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        dev.environment(clone, needs_test_tools=True)
    monkeypatch.setattr(dev, "install", finished)
    dev.environment(clone, needs_test_tools=False)
    assert installs == ["make", "install", "make", "install"]


def test_line_endings_do_not_change_the_fingerprint(dev: ModuleType, clone: Path) -> None:
    before = dev.fingerprint(clone)
    (clone / "constraints.txt").write_bytes(b"# pins\r\ntorch==2.13.0\r\n")
    assert dev.fingerprint(clone) == before


def test_says_what_it_downloads_before_it_does(
    dev: ModuleType, clone: Path, installs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dev.environment(clone, needs_test_tools=False)
    assert "at most 1;" in capsys.readouterr().out


def test_no_python_new_enough_says_how_to_get_one(
    dev: ModuleType, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "ROOT", clone)
    monkeypatch.setattr(dev, "probe", lambda command: None)
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 1))
    assert dev.main(["demo"]) == 2
    output, message = capsys.readouterr()
    assert output == ""
    assert "this is Python 3.9," in message
    assert "sudo apt install python3 python3-venv" in message


@pytest.mark.parametrize(
    ("oldest", "accepted"),
    [((3, 11), True), ((99, 0), False)],
)
def test_probe_asks_the_interpreter_for_its_version(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, oldest: tuple[int, int], accepted: bool
) -> None:
    monkeypatch.setattr(dev, "OLDEST", oldest)
    assert (dev.probe([sys.executable]) is not None) is accepted


def test_probe_of_a_missing_command(dev: ModuleType) -> None:
    assert dev.probe(["no-such-python"]) is None


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("raise SystemExit(5)", 5),
        ("", 0),
        pytest.param(
            "import os; os.kill(os.getpid(), 15)",
            143,
            marks=pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
        ),
    ],
)
def test_exit_status_is_passed_through(dev: ModuleType, program: str, expected: int) -> None:
    assert dev.run_through([sys.executable, "-c", program]) == expected


def test_further_arguments_are_passed_through(
    dev: ModuleType, clone: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(dev, "ROOT", clone)
    monkeypatch.setattr(dev, "run_through", lambda command: commands.append(command) or 0)
    assert dev.main(["demo", "--seed", "7"]) == 0
    assert [command[1:] for command in commands] == [["-m", "voxseed", "demo", "--out", "demo", "--seed", "7"]]


def test_a_failed_command_ends_the_list(
    dev: ModuleType, clone: Path, installs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(dev, "ROOT", clone)
    monkeypatch.setattr(dev, "run_through", lambda command: commands.append(command) or 1)
    assert dev.main(["lint"]) == 1
    assert len(commands) == 1


@pytest.mark.parametrize("arguments", [[], ["tests"]])
def test_unknown_command_lists_the_known(
    dev: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dev.main(arguments) == 2
    assert "demo|web|test|test-slow|test-web|lint|types" in capsys.readouterr().err


def test_stamp_is_readable(dev: ModuleType, clone: Path, installs: list[str]) -> None:
    dev.environment(clone, needs_test_tools=True)
    stamp = json.loads((clone / ".venv" / "voxseed-stamp.json").read_text())
    assert stamp["root"] == str(clone)
    assert stamp["test_tools"] is True


def test_constraints_are_exact_pins_without_addresses() -> None:
    lines = (SCRIPT.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_-]+==[0-9][0-9.]*", pin)] == []
