"""What metrics.csv was measured on: a small file beside it, so that a report can draw pictures later."""

import os
from dataclasses import dataclass
from pathlib import Path

from voxseed import __version__
from voxseed.errors import InputError
from voxseed.files import read_json, write_json


@dataclass(frozen=True)
class EvaluationRecord:
    """The content of metrics.json. On disk the paths are relative to it, so that a folder can be moved as a whole.

    Attributes:
        predictions: folder of label maps.
        labels: folder of label maps, or a dataset.
        dataset: the folder whose dataset.json named the labels.
        tolerance_mm: of the NSD.
        against: the metrics.csv that it was compared with.
        oracles: what the predicting model took from dense labels beside its supervision.
    """

    predictions: Path
    labels: Path
    dataset: Path
    tolerance_mm: float
    against: Path | None = None
    oracles: tuple[str, ...] = ()


def record_path(metrics_path: Path) -> Path:
    """metrics.json of a metrics.csv."""
    return metrics_path.with_suffix(".json")


def write_record(metrics_path: Path, record: EvaluationRecord) -> None:
    """Write the record beside its metrics.csv, atomically."""
    folder = metrics_path.parent
    content = {
        "voxseed": __version__,
        "predictions": _relative(record.predictions, folder),
        "labels": _relative(record.labels, folder),
        "dataset": _relative(record.dataset, folder),
        "tolerance_mm": record.tolerance_mm,
        "against": None if record.against is None else _relative(record.against, folder),
        "oracles": list(record.oracles),
    }
    write_json(record_path(metrics_path), content)


def read_record(metrics_path: Path) -> EvaluationRecord | None:
    """Read the record of a metrics.csv; None if it has none, as one from elsewhere.

    Raises:
        InputError: if it is damaged.
    """
    path = record_path(metrics_path)
    if not path.exists():
        return None
    content = read_json(path)
    try:
        return EvaluationRecord(
            predictions=path.parent / content["predictions"],
            labels=path.parent / content["labels"],
            dataset=path.parent / content["dataset"],
            tolerance_mm=float(content["tolerance_mm"]),
            against=None if content["against"] is None else path.parent / content["against"],
            oracles=tuple(content.get("oracles", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error!r}). Write it again with voxseed evaluate.") from None


def oracle_notes(record: EvaluationRecord | None) -> tuple[str, ...]:
    """A sentence where the model was told what a user would not have, and one where that of the others was.

    Raises:
        InputError: if the record of the others is damaged.
    """
    if record is None:
        return ()
    others = None if record.against is None else read_record(record.against)
    models = (("of these predictions", record), ("of the other predictions", others))
    return tuple(
        f"Oracle: the model {model} was told the {' and the '.join(each.oracles)}, from dense labels."
        for model, each in models
        if each is not None and each.oracles
    )


def _relative(path: Path, folder: Path) -> str:
    """Relative with forward slashes; on Windows another drive has no relative path."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
