"""A scripted annotator that follows the page's guidance over its HTTP API, beside points simulated without the page.

    python -m benchmarks.annotator --data ../shared/data/Dataset101_LeftAtrium --out OUT

The annotator looks at the dense label as a person looks at the image. It places what the server says is still missing:
a point inside, near the middle, then one beyond the object's edge in each direction, in the slices through the point
inside, as the page shows them. Where nothing grows it adds a point inside, as the page advises.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from voxseed import __version__
from voxseed.data.datasets import Dataset
from voxseed.data.point_roles import DIRECTIONS, INSIDE
from voxseed.data.protocols.base import SimulationSettings, generator
from voxseed.data.protocols.objects import DenseObject, find_objects, to_mm
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Volume, canonical
from voxseed.evaluation.statistics import bootstrap_interval
from voxseed.files import write_text
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.quality import precision_and_recall
from voxseed.workflows.simulate import simulate

_MARGIN_VOXELS = (1, 5)
_ANOTHER_DRAW = 1000
"""Added to the seed: the annotator clicks elsewhere than the simulation."""


@dataclass(frozen=True)
class Annotated:
    """What annotating a case took."""

    clicks: int
    seconds: float
    slowest_click: float
    warnings: int


class Page:
    """`voxseed annotate` in a process of its own, and requests as its page sends them."""

    def __init__(self, data: Path, annotations: Path) -> None:
        command = [sys.executable, "-m", "voxseed", "annotate", str(data), "--annotations", str(annotations)]
        self._process = subprocess.Popen([*command, "--no-browser", "--port", "0"], stdout=subprocess.PIPE, text=True)
        first = self._process.stdout.readline() if self._process.stdout else ""
        found = re.search(r"(http://\S+)/\?token=(\S+)", first)
        if found is None:
            raise SystemExit("The page is not served; see above.")
        self._origin, self._token = found.groups()

    def ask(self, method: str, path: str, message: object = None) -> Any:
        """The answer to a request."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "X-Voxseed-Client": "scripted",
            "Content-Type": "application/json",
        }
        body = None if message is None else json.dumps(message).encode()
        request = urllib.request.Request(self._origin + path, body, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def close(self) -> None:
        """Stop the server."""
        self._process.terminate()
        self._process.wait()


def main() -> None:
    """Annotate and simulate, write OUT/table.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="dataset with dense labels")
    parser.add_argument("--out", type=Path, required=True, help="folder for annotation sets and the table")
    parser.add_argument("--cases", type=int, default=10, help="of the test cases, the first by name")
    parser.add_argument("--seeds", type=int, default=5, help="how often each case is annotated")
    chosen = parser.parse_args()
    data = Dataset.open(chosen.data)
    names = sorted(data.splits().test_cases((*data.cases, *data.test_cases)))[: chosen.cases]
    took: list[Annotated] = []
    qualities: dict[str, list[list[tuple[float, float]]]] = {"page": [], "simulated": []}
    for seed in range(chosen.seeds):
        places = {kind: chosen.out / f"{kind}-{seed}" for kind in qualities}
        took += _annotated(data, names, places["page"], seed)
        if not places["simulated"].exists():
            simulate(chosen.data, "points", out=places["simulated"], seed=seed, margin_voxels=_MARGIN_VOXELS)
        for kind, place in places.items():
            qualities[kind].append([_quality(data, place, name) for name in names])
    table = "\n".join(_lines(took, {kind: np.array(each) for kind, each in qualities.items()}))
    circumstances = f"{data.name}, {len(names)} test cases, {chosen.seeds} seeds, Voxseed {__version__}, "
    write_text(
        chosen.out / "table.md", f"{table}\n\n{circumstances}{platform.machine()}, {time.strftime('%Y-%m-%d')}.\n"
    )
    print(table)


def _annotated(data: Dataset, names: Sequence[str], place: Path, seed: int) -> list[Annotated]:
    page = Page(data.root, place)
    try:
        return [_annotate(page, data, name, generator(seed + _ANOTHER_DRAW, name)) for name in names]
    finally:
        page.close()


def _annotate(page: Page, data: Dataset, case: str, rng: np.random.Generator) -> Annotated:
    """Annotate every object of a case."""
    label = data.read_label(case)
    if label is None:
        raise SystemExit(f"Case {case} has no dense label to look at.")
    turned = canonical(Volume(data.labels.to_class_indices(label.array), label.affine))
    found = find_objects(turned.array, data.labels, turned.spacing_mm, SimulationSettings())
    path = f"/api/cases/{case}"
    page.ask("POST", f"{path}/claim", {"client": "scripted"})
    page.ask("GET", path)
    times: list[float] = []
    warnings = 0
    for item in found.objects:
        warnings += _place(page, path, item, turned.affine, rng, times)
    page.ask("PUT", f"{path}/state", {"state": "done"})
    return Annotated(len(times), sum(times), max(times), warnings)


def _place(
    page: Page, path: str, item: DenseObject, affine: np.ndarray, rng: np.random.Generator, times: list[float]
) -> int:
    """Place points on an object, each after the server's answer to the one before; how many warnings remained."""
    points: list[dict[str, Any]] = []
    inside = item.inside_voxels(1, rng)[0]
    role = INSIDE
    warnings: list[str] = []
    while role:
        voxel = inside if role == INSIDE else _beyond(item, inside, role, rng)
        points.append({"role": role, "mm": to_mm(voxel[None], affine)[0].tolist()})
        named = {"class_name": item.class_name, "object_number": item.object_number}
        begun = time.perf_counter()
        saved = page.ask("PUT", f"{path}/objects", {**named, "points": points})
        role = _asked_for(saved["problem"])
        if not role:
            warnings = page.ask("POST", f"{path}/growth", named)["warnings"]
        times.append(time.perf_counter() - begun)
        if not role and any("Nothing grew" in each for each in warnings) and len(points) == 1 + len(DIRECTIONS):
            role, inside = INSIDE, item.inside_voxels(2, rng)[-1]
    return len(warnings)


def _asked_for(problem: str) -> str:
    """The first role that the server says is missing; empty if none is."""
    found = re.search(r"still missing (\w+)", problem)
    if problem and found is None:
        raise SystemExit(f"The page refuses what the annotator placed: {problem}")
    return found[1] if found else ""


def _beyond(item: DenseObject, inside: np.ndarray, role: str, rng: np.random.Generator) -> np.ndarray:
    """A voxel of the slices through the inside point, beyond the object's edge in a direction, within the volume."""
    axis, end = next((axis, end) for axis, pair in enumerate(_PAIRS) for end in (0, 1) if pair[end] == role)
    margin = int(rng.integers(_MARGIN_VOXELS[0], _MARGIN_VOXELS[1] + 1))
    edge = item.stop[axis] - 1 + margin if end else item.start[axis] - margin
    voxel = inside.copy()
    voxel[axis] = np.clip(edge, 0, item.volume_shape[axis] - 1)
    return voxel


_PAIRS = tuple(zip(DIRECTIONS[::2], DIRECTIONS[1::2], strict=True))
"""Low and high end of each canonical axis."""


def _quality(data: Dataset, annotations: Path, case: str) -> tuple[float, float]:
    """Precision and recall of the grown foreground, as training sees it; means over classes."""
    label, image = data.read_label(case), data.read_image(case)
    if label is None:
        raise SystemExit(f"Case {case} has no dense label to measure against.")
    annotation = data.annotations(str(annotations)).read(case)
    valid = valid_region(image.array)
    supervision = build_supervision(annotation, image, data.labels, ExpansionSettings(), valid, case)
    found = precision_and_recall(supervision, data.labels.to_class_indices(label.array), data.labels.class_count)[1:]
    return float(np.mean([each.precision for each in found])), float(np.mean([each.recall for each in found]))


def _lines(took: Sequence[Annotated], qualities: dict[str, np.ndarray]) -> list[str]:
    """The tables. `qualities`: (seeds, cases, 2) by kind."""
    lines = ["| points | precision | recall |", "|---|---|---|"]
    for kind, values in qualities.items():
        precision, recall = values.mean(axis=(0, 1))
        lines.append(f"| {kind} | {precision:.3f} | {recall:.3f} |")
    differences = (qualities["page"] - qualities["simulated"]).mean(axis=0)  # (cases, 2)
    cells = []
    for values in differences.T:
        low, high = bootstrap_interval(values)
        cells.append(f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})")
    lines += [f"| difference | {' | '.join(cells)} |", ""]
    clicks = [each.clicks for each in took]
    lines += [
        f"Clicks per case: {min(clicks)} to {max(clicks)}, median {median(clicks):g}.",
        f"Seconds of answers per case: median {median(each.seconds for each in took):.2f}, "
        f"most {max(each.seconds for each in took):.2f}; slowest click {max(each.slowest_click for each in took):.2f}.",
        f"Cases with a warning at the end: {sum(each.warnings > 0 for each in took)} of {len(took)}.",
    ]
    return lines


if __name__ == "__main__":
    main()
