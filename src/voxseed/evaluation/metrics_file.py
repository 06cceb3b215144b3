"""metrics.csv: one row per case and class; a distance that is undefined or missing is an empty field."""

import csv
import io
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Final

from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.files import write_text
from voxseed.shell import voxseed_command

COLUMNS: Final = (
    "case",
    "class",
    "dice",
    "assd_mm",
    "hd95_mm",
    "nsd",
    "volume_ml",
    "reference_ml",
    "missed",
    "false_alarm",
)


def write_metrics(path: Path, rows: Sequence[CaseMetrics]) -> None:
    """Write metrics.csv atomically; flags are 0 and 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        numbers = (row.dice, row.assd_mm, row.hd95_mm, row.nsd, row.volume_ml, row.reference_ml)
        writer.writerow([row.case, row.class_name, *map(_as_field, numbers), int(row.missed), int(row.false_alarm)])
    write_text(path, text.getvalue())


def read_metrics(path: Path) -> list[CaseMetrics]:
    """Read what `write_metrics` wrote.

    Raises:
        InputError: if the file is missing, has other columns, a field that is no number, no rows, or the same case and
            class twice.
    """
    rows: dict[tuple[str, str], CaseMetrics] = {}
    for line, fields in _records(path):
        row = _parse(fields, f"{path}, line {line}")
        if (row.case, row.class_name) in rows:
            raise InputError(
                f"{path}, line {line}: case {row.case!r}, class {row.class_name!r} is there twice. Remove one."
            )
        rows[row.case, row.class_name] = row
    if not rows:
        raise InputError(f"{path}: no rows. Write it again with voxseed evaluate.")
    return list(rows.values())


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and fields of every row below the header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Write it with {voxseed_command('evaluate', '--out', path)}.") from None
    except (IsADirectoryError, PermissionError, UnicodeDecodeError):
        raise InputError(
            f"{path}: expected a metrics.csv written by voxseed evaluate, found no readable text."
        ) from None
    reader = csv.reader(io.StringIO(text))
    header = next(reader, [])
    if tuple(header) != COLUMNS:
        raise InputError(f"{path}: expected the columns {','.join(COLUMNS)}, found {','.join(header) or 'none'}.")
    return [(reader.line_num, fields) for fields in reader if fields]


def _parse(fields: list[str], origin: str) -> CaseMetrics:
    if len(fields) != len(COLUMNS):
        raise InputError(f"{origin}: expected {len(COLUMNS)} fields, found {len(fields)}. The file is damaged.")
    values = dict(zip(COLUMNS, fields, strict=True))
    try:
        return CaseMetrics(
            case=values["case"],
            class_name=values["class"],
            dice=_number(values["dice"]),
            assd_mm=_distance(values["assd_mm"]),
            hd95_mm=_distance(values["hd95_mm"]),
            nsd=_number(values["nsd"]),
            volume_ml=_number(values["volume_ml"]),
            reference_ml=_number(values["reference_ml"]),
            missed=bool(int(values["missed"])),
            false_alarm=bool(int(values["false_alarm"])),
        )
    except ValueError as error:
        raise InputError(
            f"{origin}: expected numbers, found {error}. Write the file again with voxseed evaluate."
        ) from None


def _as_field(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def _distance(field: str) -> float | None:
    return _number(field) if field else None


def _number(field: str) -> float:
    number = float(field)
    if not isfinite(number):
        raise ValueError(f"{field!r}")
    return number
