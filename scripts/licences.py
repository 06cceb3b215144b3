"""Write docs/licences.md: every package in constraints.txt with its licence, as its own metadata says.

Run it in the environment of `make test`: python scripts/licences.py
"""

import sys
from fnmatch import fnmatch
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "licences.md"
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60
# Installed on some systems only, or silent in their metadata.
KNOWN = {
    "nvidia-nccl-*": "BSD-3-Clause",
    "nvidia-nvtx": "Apache-2.0 WITH LLVM-exception",
    "cuda-pathfinder": "Apache-2.0",
    "nvidia-*": "NVIDIA Proprietary Software (CUDA Toolkit EULA)",
    "cuda-*": "NVIDIA Proprietary Software (CUDA Toolkit EULA)",
    "colorama": "BSD-3-Clause",
    "triton": "MIT",
    "editables": "MIT",
    "hatchling": "MIT",
    "setuptools": "MIT",
    "tomlkit": "MIT",
    "trove-classifiers": "Apache-2.0",
}
HEAD = """# Licences of dependencies

Every package that the tested environment holds, the dependencies' own dependencies included. Made by
`python scripts/licences.py` from the packages' metadata; the texts are in the packages. Voxseed itself is Apache-2.0.

| package | version | licence |
|---|---|---|
"""


def main() -> None:
    """Write the page."""
    TARGET.write_text(page(ROOT / "constraints.txt"), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)} written.")


def page(constraints: Path) -> str:
    """The page for the packages that a constraints file pins."""
    pins = [line.strip().partition("==") for line in constraints.read_text(encoding="utf-8").splitlines()]
    rows = [f"| {name} | {version} | {licence_of(name)} |" for name, pin, version in pins if pin]
    return HEAD + "\n".join(rows) + "\n"


def licence_of(name: str) -> str:
    """The licence of a package, in a few words.

    Raises:
        SystemExit: if nothing says.
    """
    listed = next((licence for pattern, licence in KNOWN.items() if fnmatch(name.lower(), pattern)), None)
    if listed is not None:
        return listed
    try:
        found = stated(distribution(name))
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed. Run this in the environment of make test, or add it to KNOWN.")
    if not found:
        sys.exit(f"{name} states no licence. Look it up, and add it to KNOWN.")
    return found


def stated(package: Distribution) -> str:
    """What a package's metadata say: the SPDX expression, else a short licence field, else the classifiers."""
    metadata = package.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return expression
    field = " ".join((metadata.get("License") or "").split())
    classifiers = [
        each.removeprefix(CLASSIFIER) for each in metadata.get_all("Classifier") or () if each.startswith(CLASSIFIER)
    ]
    if field and field != "UNKNOWN" and len(field) <= LONGEST:
        return field
    return ", ".join(classifiers)


if __name__ == "__main__":
    main()
