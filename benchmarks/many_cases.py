"""Datasets of many cases: opening one, the states of its annotations, and the list of its predictions."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.server.workspace import Workspace
from voxseed.workflows.prediction_inputs import files_status
from voxseed.workflows.prediction_records import VERSION, PredictionRecord, record_path
from voxseed.workflows.review import Review, ReviewedModel

CASES = 2000


def run() -> list[dict[str, Any]]:
    """Seconds for all cases, from a warm disk."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = _dataset(root / "data")
        place = data.root / "annotations" / "page"
        for case in data.cases[::2]:
            (place / case).mkdir(parents=True)
        labels = {"background": 0, "kidney": 1}
        content = {"version": 1, "protocol": "points", "labels": labels, "states": {}}
        (place / "annotations.json").write_text(json.dumps(content))
        workspace = Workspace(data, place)
        _predictions(data, root / "out")
        model = ReviewedModel(root / "run", "digest", Labels(labels), ("CT",), {})
        review = Review(data, model, root / "out")
        measured = {
            "open the dataset": lambda: Dataset.open(data.root),
            "states of annotations": workspace.states,
            "predictions, worst first": review.cases,
            "predictions again": review.cases,
        }
        rows = [{"name": f"{CASES} cases: {name}", "seconds": _seconds(work)} for name, work in measured.items()]
        review.close()
        workspace.close()
        return rows


def _dataset(root: Path) -> Dataset:
    data = Dataset.create(root, "Many", ["CT"], ["kidney"])
    (data.root / "imagesTr").mkdir()
    for number in range(CASES):
        (data.root / "imagesTr" / f"case_{number:04d}_0000.nii.gz").touch()
    return Dataset.open(root)


def _predictions(data: Dataset, out: Path) -> None:
    for number, case in enumerate(data.cases):
        origin = {"model": "digest", **files_status(data.image_paths(case))}
        record = PredictionRecord(case, origin, (f"{case}.nii.gz",), (), (), {"kidney": 1 - number / CASES})
        path = record_path(out, case)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"version": VERSION, **asdict(record)}))  # without write_json's waiting for the disk
        (out / f"{case}.nii.gz").touch()


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
