"""From a clone to a running demo or tested code: one environment in .venv, with pinned packages.

    python scripts/dev.py demo | web | test | test-slow | test-web | lint | types   [further arguments for the tool]

Standard library only. Any Python 3.8 or newer can start it; it looks for one that Voxseed runs on. The environment is
described by a stamp that is written last: an interrupted installation is done again, a finished one is reused, and it
is rebuilt only when the constraints, the Python or the place of the clone changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
NAMES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
PROBE = "import ensurepip, sys, venv; print(sys.executable); print(*sys.version_info[:2])"
HOW_TO_GET_PYTHON = """\
Voxseed needs Python 3.11 or newer with venv; this is {found}, and none was found on PATH. Get one with
    Ubuntu, Debian   sudo apt install python3 python3-venv
    Fedora           sudo dnf install python3
    macOS            brew install python
    Windows          winget install Python.Python.3.13
    anywhere         conda create -n voxseed python=3.13 && conda activate voxseed
and run this command again. Other systems: https://www.python.org/downloads/"""
COMMANDS: Dict[str, Tuple[List[List[str]], bool]] = {
    # name: what the environment's Python runs, one after the other; whether the test tools are needed
    "demo": ([["-m", "voxseed", "demo", "--out", "demo"]], False),
    "web": ([["scripts/build_page.py"]], True),
    "test": ([["-m", "pytest", "-m", "not slow"]], True),
    "test-slow": ([["-m", "pytest", "-m", "slow"]], True),
    "test-web": ([["scripts/test_page.py"]], True),
    "lint": ([["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."]], True),
    "types": ([["-m", "mypy"]], True),
}


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Run one of `COMMANDS`; its exit status is returned."""
    if not arguments or arguments[0] not in COMMANDS:
        print("usage: python scripts/dev.py {} [arguments]".format("|".join(COMMANDS)), file=sys.stderr)
        return 2
    commands, needs_test_tools = COMMANDS[arguments[0]]
    try:
        python = environment(ROOT, needs_test_tools)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    for command in commands:
        status = run_through([str(python), *command, *arguments[1:]])
        if status != 0:
            return status
    return 0


def run_through(command: List[str]) -> int:
    """Run a command in the clone; Ctrl-C is the command's own affair: it may still have to save and say something."""
    process = subprocess.Popen(command, cwd=str(ROOT))
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            continue
        return status if status >= 0 else 128 - status


def environment(root: Path, needs_test_tools: bool) -> Path:
    """The Python of `root`/.venv, after creating or updating what is missing there.

    Raises:
        SetupError: if no suitable Python exists or the installation fails.
    """
    folder = root / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "voxseed-stamp.json"
    wanted = fingerprint(root)
    present = read_stamp(stamp)
    kept = all(present.get(key) == wanted[key] for key in ("constraints", "root")) and probe([str(python)]) is not None
    wanted["test_tools"] = needs_test_tools or (kept and present.get("test_tools") is True)
    if kept and present == wanted:
        return python
    base_python = None if kept else find_python()
    announce(root, folder, kept)
    if stamp.exists():
        stamp.unlink()
    if base_python is not None:
        make_environment(folder, base_python)
    install(root, python, with_test_tools=wanted["test_tools"] is True)
    write_stamp(stamp, wanted)
    return python


def fingerprint(root: Path) -> Dict[str, object]:
    """What the environment depends on."""
    return {
        "constraints": digest(root / "constraints.txt"),
        "pyproject": digest(root / "pyproject.toml"),
        "root": str(root),
    }


def digest(path: Path) -> str:
    """SHA-256 of a text file, the same for every line ending."""
    return hashlib.sha256(path.read_text(encoding="utf-8").encode("utf-8")).hexdigest()


def read_stamp(path: Path) -> Dict[str, object]:
    """What a finished installation left, or nothing."""
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(path: Path, stamp: Dict[str, object]) -> None:
    """Say that the installation is complete."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    os.replace(str(temporary), str(path))


def announce(root: Path, folder: Path, kept: bool) -> None:
    """Say what is about to be downloaded."""
    if kept:
        print(f"Updating {folder}: the few packages that are missing, pinned in constraints.txt.", flush=True)
        return
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    packages = sum(1 for line in lines if line and not line.startswith("#"))
    print(
        f"Making {folder} with the packages that constraints.txt pins (at most {packages}; the largest is PyTorch).\n"
        "This downloads about 0.5 GB and takes 2 GB on disk; where pip's PyTorch is the CUDA build (Linux), about 3 GB "
        "and 8 GB.",
        flush=True,
    )


def find_python() -> str:
    """An interpreter new enough and able to make environments: this one, or the first that PATH has.

    Raises:
        SetupError: if there is none; says how to get one.
    """
    candidates = [[sys.executable]] + [[name] for name in NAMES]
    if os.name == "nt":
        candidates += [["py", "-3.{}".format(minor)] for minor in (13, 12, 11, 14)]
    for command in candidates:
        found = probe(command)
        if found is not None:
            return found
    version = "Python {}.{}".format(*sys.version_info[:2])
    raise SetupError(
        HOW_TO_GET_PYTHON.format(found=version if sys.version_info < OLDEST else version + " without venv")
    )


def probe(command: List[str]) -> Optional[str]:
    """Path of the interpreter that the command starts, or None if it is missing, too old or without venv."""
    if not command[0] or (shutil.which(command[0]) is None):
        return None
    result = subprocess.run([*command, "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    if result.returncode != 0 or len(lines) != 2:
        return None
    version = tuple(int(part) for part in lines[1].split())
    return lines[0] if version >= OLDEST else None


def make_environment(folder: Path, python: str) -> None:
    """Create the environment anew."""
    if folder.exists():
        shutil.rmtree(str(folder))
    run([python, "-m", "venv", str(folder)], "the environment could not be made")


def install(root: Path, python: Path, with_test_tools: bool) -> None:
    """Install the package, editable, and its pinned dependencies.

    PyTorch and the build tool come first: so the build tool is pinned too, and no second PyTorch is ever fetched.
    """
    pip = [str(python), "-m", "pip", "install", "-c", str(root / "constraints.txt")]
    package = str(root) + ("[test]" if with_test_tools else "")
    run([*pip, "torch", "hatchling", "editables"], "pip failed")
    run([*pip, "--no-build-isolation", "-e", package], "pip failed")


def run(command: List[str], problem: str) -> None:
    """Run a command, its output visible.

    Raises:
        SetupError: if it fails.
    """
    if subprocess.call(command) != 0:
        raise SetupError(
            f"Stopped: {problem}, see above. When that is mended, run the same command again.\n"
            f"The command was: {' '.join(command)}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
