"""scripts/build_page.py: what is built when, and that a package can be built without the page."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def builder() -> ModuleType:
    return load(ROOT / "scripts" / "build_page.py")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with sources of the page, and nothing installed."""
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "src" / "voxseed" / "server").mkdir(parents=True)
    for name in ("build.mjs", "package.json", "package-lock.json", "src/main.ts"):
        (tmp_path / "web" / name).write_text(f"{name}\n")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    return tmp_path


@pytest.fixture
def commands(builder: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been run; npm and the build do nothing but make their folder."""
    done: list[str] = []

    def run(command: list[str], folder: Path) -> None:
        is_install = command[2:3] == ["ci"]
        done.append("install" if is_install else "build")
        (folder / "node_modules" if is_install else Path(command[2])).mkdir(exist_ok=True)

    monkeypatch.setattr(builder, "run", run)
    monkeypatch.setattr(builder, "find_node", lambda: ["node", "npm-cli.js"])
    return done


def test_built_once_and_again_when_a_source_changes(builder: ModuleType, clone: Path, commands: list[str]) -> None:
    assert builder.build(clone)
    assert not builder.build(clone)
    assert commands == ["install", "build"]
    source = clone / "web" / "src" / "main.ts"
    source.write_bytes(b"main.ts\r\n")
    source.with_name("main.ts").write_bytes(b"src/main.ts\r\n")
    assert not builder.build(clone)  # only the line ends differ
    source.write_text("other\n")
    assert builder.build(clone)
    assert commands == ["install", "build", "build"]
    (clone / "web" / "package-lock.json").write_text("other\n")
    assert builder.build(clone)
    assert commands[3:] == ["install", "build"]


def test_test_tools_are_added_and_kept(builder: ModuleType, clone: Path, commands: list[str]) -> None:
    builder.install_packages(clone, with_test_tools=False)
    builder.install_packages(clone, with_test_tools=True)
    builder.install_packages(clone, with_test_tools=False)
    assert commands == ["install", "install"]


def test_a_failed_build_leaves_the_page_that_was_there(builder: ModuleType, clone: Path, commands: list[str]) -> None:
    builder.build(clone)
    (clone / builder.PAGE / "page.js").write_text("old")
    (clone / "web" / "src" / "main.ts").write_text("other\n")

    def fail(command: list[str], folder: Path) -> None:
        raise builder.PageError("broken")

    builder.run = fail
    with pytest.raises(builder.PageError, match="broken"):
        builder.build(clone)
    assert (clone / builder.PAGE / "page.js").read_text() == "old"


@pytest.mark.parametrize(("version", "said"), [("standard", "Without the annotation page"), ("editable", "")])
def test_a_package_can_be_built_without_the_page(
    clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    script = clone / "scripts" / "build_page.py"
    script.write_text(script.read_text() + '\n\ndef build(root):\n    raise PageError("no Node")\n')
    hook = load(ROOT / "hatch_build.py").PageHook
    monkeypatch.setattr(hook, "root", str(clone))
    hook.initialize(hook.__new__(hook), version, {})
    assert capsys.readouterr().err.startswith(said)


def test_packages_are_pinned_with_checksums_and_without_addresses() -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    assert packages["node_modules/@niivue/niivue"]["version"] == "0.69.0"
    wanted = json.loads((ROOT / "web" / "package.json").read_text())
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())


def test_only_one_file_knows_niivue() -> None:
    sources = (ROOT / "web" / "src").glob("*.ts")
    assert [path.name for path in sources if "@niivue" in path.read_text(encoding="utf-8")] == ["solid.ts"]
