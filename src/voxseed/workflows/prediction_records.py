"""What is known of the predictions in a folder: a record per case, and the tables that are made of all of them.

Records lie in OUT/records. A case's record is written after its files, so that a case with a record is complete.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from scipy import ndimage

from voxseed.errors import InputError
from voxseed.files import read_json_object, write_json, write_text
from voxseed.inference.doubts import Doubt
from voxseed.metrics.overlap import MM3_PER_ML
from voxseed.types import LabelArray

RECORDS_FOLDER = "records"
UNCERTAINTY_FOLDER = "uncertainty"
VOLUMES_NAME = "volumes.csv"
DISTRUST_NAME = "distrust.csv"
QUALITY_NAME = "quality.csv"
UNCERTAINTY_NAME = "uncertainty.csv"
VERSION = 2
_LOCKS = ".locks"
_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class ObjectVolume:
    """Volume of one object, or of a class.

    Attributes:
        class_name: of the model.
        number: 1, 2, …, the largest first; 0 for the class with all its objects.
        volume_ml: in millilitres.
    """

    class_name: str
    number: int
    volume_ml: float


@dataclass(frozen=True)
class PredictionRecord:
    """One predicted case.

    Attributes:
        case: its name.
        origin: what the prediction follows from: model, options, input files.
        files: that were written, relative to the folder.
        volumes: of all classes and objects.
        doubts: reasons to look at it.
        expected_dice: class name to an estimate in [0, 1] that needs no dense label, see `inference.expected_dice`.
        mean_uncertainty: of the voxels that are predicted to be an object; None if there are none, or no uncertainty
            was asked for.
        oracles: what was taken from dense labels to train the model, beside its supervision.
    """

    case: str
    origin: dict[str, Any]
    files: tuple[str, ...]
    volumes: tuple[ObjectVolume, ...]
    doubts: tuple[Doubt, ...]
    expected_dice: dict[str, float]
    mean_uncertainty: float | None = None
    oracles: tuple[str, ...] = ()

    @property
    def mean_expected_dice(self) -> float:
        """Over classes: the number by which cases are ranked."""
        return float(np.mean(list(self.expected_dice.values())))


def object_volumes(labels: LabelArray, class_names: Sequence[str], voxel_mm3: float) -> tuple[ObjectVolume, ...]:
    """Volume of every class, followed by those of its connected parts (26 neighbours), the largest first.

    Args:
        labels: (I, J, K) class indices.
        class_names: foreground, in the order of their indices.
        voxel_mm3: volume of a voxel.
    """
    volumes = []
    for index, name in enumerate(class_names, start=1):
        parts, _ = ndimage.label(labels == index, structure=_NEIGHBOURS)
        sizes = np.sort(np.bincount(parts.ravel())[1:])[::-1]
        counts = [int(sizes.sum()), *sizes.tolist()]
        volumes += [ObjectVolume(name, number, count * voxel_mm3 / MM3_PER_ML) for number, count in enumerate(counts)]
    return tuple(volumes)


def locks_folder(out: Path) -> Path:
    """Where jobs that share a folder hold their cases."""
    return out / RECORDS_FOLDER / _LOCKS


def write_record(out: Path, record: PredictionRecord) -> None:
    """Write or replace a case's record, atomically."""
    write_json(record_path(out, record.case), {"version": VERSION, **asdict(record)})


def read_record(out: Path, case: str) -> PredictionRecord | None:
    """A case's record; None if there is none, or a file that it names is gone.

    Raises:
        InputError: if it is damaged or of another version.
    """
    path = record_path(out, case)
    if not path.is_file():
        return None
    content = read_json_object(path)
    if content.pop("version", None) != VERSION:
        raise InputError(f"{path}: expected the record of a prediction, version {VERSION}. Remove it, or predict anew.")
    try:
        record = PredictionRecord(
            content["case"],
            content["origin"],
            tuple(content["files"]),
            tuple(ObjectVolume(**volume) for volume in content["volumes"]),
            tuple(Doubt(**doubt) for doubt in content["doubts"]),
            dict(**content["expected_dice"]),
            content.get("mean_uncertainty"),
            tuple(content.get("oracles", ())),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}). Remove it, and predict the case again.") from None
    return record if all((out / name).is_file() for name in record.files) else None


def write_tables(out: Path) -> None:
    """Write volumes.csv, distrust.csv, quality.csv and uncertainty.csv of all records; jobs that share it take turns.

    The last is there if a record is of a prediction with an uncertainty.
    """
    locks_folder(out).mkdir(parents=True, exist_ok=True)
    with FileLock(locks_folder(out).parent / f"{_LOCKS}.tables"):
        cases = sorted(path.stem for path in (out / RECORDS_FOLDER).glob("*.json"))
        records = [record for case in cases if (record := read_record(out, case)) is not None]
        volumes = (
            (record.case, each.class_name, each.number or "all", f"{each.volume_ml:.6g}")
            for record in records
            for each in record.volumes
        )
        doubts = ((record.case, *asdict(doubt).values()) for record in records for doubt in record.doubts)
        qualities = (
            (record.case, name, f"{value:.4f}") for record in records for name, value in record.expected_dice.items()
        )
        write_text(out / VOLUMES_NAME, _csv(("case", "class", "object", "volume_ml"), volumes))
        write_text(out / DISTRUST_NAME, _csv(("case", "class", "rule", "reason"), doubts))
        write_text(out / QUALITY_NAME, _csv(("case", "class", "expected_dice"), qualities))
        _write_uncertainties(out, [record for record in records if record.origin.get("uncertainty")])


def _write_uncertainties(out: Path, records: Sequence[PredictionRecord]) -> None:
    """A line per case, empty where nothing is predicted; no file of an earlier prediction stays."""
    if not records:
        (out / UNCERTAINTY_NAME).unlink(missing_ok=True)
        return
    means = (record.mean_uncertainty for record in records)
    cells = ("" if mean is None else f"{mean:.6g}" for mean in means)
    rows = zip((record.case for record in records), cells, strict=True)
    write_text(out / UNCERTAINTY_NAME, _csv(("case", "uncertainty"), rows))


def record_path(out: Path, case: str) -> Path:
    """Where the record of a case is, or would be."""
    return out / RECORDS_FOLDER / f"{case}.json"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
