"""The annotation page in headless Chromium: opening a volume of 512 × 512 × 300, and growth in a box of 128³.

`python -m benchmarks.page`, from a clone, after `make web` and with Chromium on PATH or in $CHROMIUM. Seconds are what
a person waits, medians of five: reading and unpacking the file, sending it, drawing by software, all on one machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from voxseed.data.datasets import Dataset

ROOT = Path(__file__).parents[1]
SHAPE = (512, 512, 300)
RADIUS_VOXELS = 48
SPACING_MM = (0.7, 0.7, 1.0)


def main() -> None:
    """Print one line per measurement."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from build_page import find_node, install_packages

    install_packages(ROOT, with_test_tools=True)
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        make(root)
        environment = {**os.environ, "CHROMIUM": browser, "VOXSEED_PYTHON": sys.executable}
        command = [find_node()[0], str(ROOT / "web" / "tests" / "timing.mjs"), str(root), str(RADIUS_VOXELS)]
        output = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    for name, seconds in json.loads(output).items():
        print(f"page: {name}, seconds {seconds:.3g}", flush=True)


def make(root: Path) -> None:
    """Two CT-like volumes: a ball in structures of all sizes, with noise, as 16-bit integers in .nii.gz."""
    data = Dataset.create(root, "Large", ["MRI"], ["ball"])
    rng = np.random.default_rng(0)
    structures = zoom(rng.normal(0, 200, tuple(size // 10 for size in SHAPE)), 10.3, order=1)[tuple(map(slice, SHAPE))]
    grids = np.ogrid[tuple(slice(size) for size in SHAPE)]
    away = sum((grid - size // 2) ** 2 for grid, size in zip(grids, SHAPE, strict=True))
    noise = rng.normal(0, 15, SHAPE).astype(np.float32)
    image = (structures + noise + 400 * (away < RADIUS_VOXELS**2)).astype(np.int16)
    for name in ("first", "second"):
        data.write_case(name, image[None], np.diag([*SPACING_MM, 1.0]))
    os.sync()  # nothing is still being written while the page is timed


if __name__ == "__main__":
    main()
