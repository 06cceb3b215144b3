"""A scripted annotator that follows the page's guidance over its HTTP API, beside points simulated without the page.

    python -m benchmarks.annotator --data ../shared/data/Dataset101_LeftAtrium --out OUT

The annotator knows where a person would click from a simulated annotation of the case: near the middle, and how far
beyond each edge. It places what the server says is still missing, and clicks where the page shows it: after the first
click all slices go through the point inside, so the others lie in them. What grows is compared with what grows from the
simulated points themselves.
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
from voxseed.data.annotations import ObjectPoints
from voxseed.data.datasets import Dataset
from voxseed.data.point_roles import DIRECTIONS, INSIDE
from voxseed.data.valid_region import valid_region
from voxseed.evaluation.statistics import bootstrap_interval
from voxseed.files import write_text
from voxseed.supervision.build import build_supervision
from voxseed.supervision.expansion import ExpansionSettings
from voxseed.supervision.quality import precision_and_recall
from voxseed.workflows.simulate import simulate


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
    qualities: dict[str, list[list[tuple[float, float]]]] = {"simulated": [], "page": []}
    for seed in range(chosen.seeds):
        places = {kind: chosen.out / f"{kind}-{seed}" for kind in qualities}
        if not places["simulated"].exists():
            simulate(chosen.data, "points", out=places["simulated"], seed=seed)
        took += _annotated(data, names, places)
        for kind, place in places.items():
            qualities[kind].append([_quality(data, place, name) for name in names])
    table = "\n".join(_lines(took, {kind: np.array(each) for kind, each in qualities.items()}))
    circumstances = f"{data.name}, {len(names)} test cases, {chosen.seeds} seeds, Voxseed {__version__}, "
    write_text(
        chosen.out / "table.md", f"{table}\n\n{circumstances}{platform.machine()}, {time.strftime('%Y-%m-%d')}.\n"
    )
    print(table)


def _annotated(data: Dataset, names: Sequence[str], places: dict[str, Path]) -> list[Annotated]:
    known = data.annotations(str(places["simulated"]))
    page = Page(data.root, places["page"])
    try:
        return [_annotate(page, name, known.read(name).points) for name in names]
    finally:
        page.close()


def _annotate(page: Page, case: str, known: Sequence[ObjectPoints]) -> Annotated:
    """Annotate every object of a case, as the simulated points say where it is."""
    path = f"/api/cases/{case}"
    page.ask("POST", f"{path}/claim", {"client": "scripted"})
    affine = np.array(page.ask("GET", path)["affine"])
    times: list[float] = []
    warnings = sum(_place(page, path, item, affine, times) for item in known)
    page.ask("PUT", f"{path}/state", {"state": "done"})
    return Annotated(len(times), sum(times), max(times), warnings)


def _place(page: Page, path: str, known: ObjectPoints, affine: np.ndarray, times: list[float]) -> int:
    """Place points on an object, each after the server's answer to the one before; how many warnings remained."""
    inside, outside = (_voxels(points, affine) for points in (known.inside_mm, known.outside_mm))
    named = {"class_name": known.class_name, "object_number": known.object_number}
    points: list[dict[str, Any]] = []
    warnings: list[str] = []
    role = INSIDE
    while role:
        voxel = inside[0] if role == INSIDE else _beyond(inside[0], outside, role)
        points.append({"role": role, "mm": (affine @ [*voxel, 1])[:3].tolist()})
        begun = time.perf_counter()
        saved = page.ask("PUT", f"{path}/objects", {**named, "points": points})
        role = _asked_for(saved["problem"])
        if not role:
            warnings = page.ask("POST", f"{path}/growth", named)["warnings"]
        times.append(time.perf_counter() - begun)
    return len(warnings)


def _asked_for(problem: str) -> str:
    """The first role that the server says is missing; empty if none is."""
    found = re.search(r"still missing (\w+)", problem)
    if problem and found is None:
        raise SystemExit(f"The page refuses what the annotator placed: {problem}")
    return found[1] if found else ""


def _voxels(points_mm: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(N, 3), in canonical order."""
    inverse = np.linalg.inv(affine)
    return points_mm @ inverse[:3, :3].T + inverse[:3, 3]


def _beyond(inside: np.ndarray, outside: np.ndarray, role: str) -> np.ndarray:
    """Beyond the object's edge in a direction, as far as known, but in the slices through the point inside."""
    axis, end = divmod(DIRECTIONS.index(role), 2)
    voxel = inside.copy()
    voxel[axis] = outside[:, axis].max() if end else outside[:, axis].min()
    return voxel


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
        lines.append(_row(kind, [f"{value:.3f}" for value in values.mean(axis=(0, 1))]))
    differences = (qualities["page"] - qualities["simulated"]).mean(axis=0).T  # (2, cases)
    intervals = [bootstrap_interval(values) for values in differences]
    cells = [
        f"{values.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        for values, (low, high) in zip(differences, intervals, strict=True)
    ]
    largest = np.abs(qualities["page"] - qualities["simulated"]).max(axis=(0, 1))
    spread = qualities["simulated"].mean(axis=1).std(axis=0, ddof=1)
    lines.append(_row("difference, mean over seeds", cells))
    lines.append(_row("largest difference of a case", [f"{value:.4f}" for value in largest]))
    lines.append(_row("standard deviation between seeds, simulated", [f"{value:.3f}" for value in spread]))
    lines.append("")
    clicks = [each.clicks for each in took]
    lines += [
        f"Clicks per case: {min(clicks)} to {max(clicks)}, median {median(clicks):g}.",
        f"Seconds of answers per case: median {median(each.seconds for each in took):.2f}, "
        f"most {max(each.seconds for each in took):.2f}; slowest click {max(each.slowest_click for each in took):.2f}.",
        f"Cases with a warning at the end: {sum(each.warnings > 0 for each in took)} of {len(took)}.",
    ]
    return lines


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
