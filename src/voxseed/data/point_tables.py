"""Tables of points: CSV files with a row per point."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from voxseed.data.labels import Labels
from voxseed.data.markups import PointList, object_name
from voxseed.data.point_roles import DIRECTIONS, INSIDE, role_of
from voxseed.errors import InputError
from voxseed.types import FloatArray

_COLUMNS = ("case", "object", "role", "x", "y", "z")
_CLASS = "class"


def read_point_table(path: Path, labels: Labels, to_ras: FloatArray) -> dict[str, list[PointList]]:
    """Case → its objects, as nodes that are called after class and number.

    Args:
        path: a CSV file with the columns case, object, role, x, y and z; class too unless there is only one. Others are
            left out. `object` counts 1, 2, … within the class and case; `role` may be empty where positions decide.
        labels: of the dataset.
        to_ras: (3, 3), from the positions in the file, in mm, to RAS+.

    Raises:
        InputError: if the file cannot be read, a column is missing, or a row is wrong; names its line.
    """
    points: dict[tuple[str, str], list[tuple[str, list[float]]]] = defaultdict(list)
    for line, row in _rows(path, labels):
        where = f"{path}, line {line}"
        name = object_name(_class_name(row, labels, where), _object_number(row, where))
        points[row["case"], name].append((_role(row, where), _position(row, where)))
    if not points:
        raise InputError(f"{path}: no points, only a header. Export the table again.")
    cases: dict[str, list[PointList]] = defaultdict(list)
    for (case, name), found in points.items():
        roles, positions = zip(*found, strict=True)
        cases[case].append(PointList(name, tuple(roles), np.array(positions) @ to_ras.T))
    return dict(cases)


def _rows(path: Path, labels: Labels) -> list[tuple[int, Mapping[str, str]]]:
    """Line number and columns of every row that is not empty."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: no table, it is not text in UTF-8. Export it again as CSV.") from None
    rows = list(csv.reader(lines))
    header = [column.strip().lower() for column in rows[0]] if rows else []
    wanted = _COLUMNS if len(labels.foreground) == 1 else (*_COLUMNS[:1], _CLASS, *_COLUMNS[1:])
    missing = [column for column in wanted if column not in header]
    if missing:
        raise InputError(
            f"{path}: the column {missing[0]} is missing; expected {','.join(wanted)}, separated by commas, found "
            f"{','.join(header) or 'nothing'}. Add it."
        )
    cells = [(line, [cell.strip() for cell in row]) for line, row in enumerate(rows[1:], start=2) if any(row)]
    short = next((line for line, row in cells if len(row) < len(header)), None)
    if short is not None:
        raise InputError(f"{path}, line {short}: fewer cells than the header has columns. Complete the row.")
    return [(line, dict(zip(header, row, strict=False))) for line, row in cells]


def _class_name(row: Mapping[str, str], labels: Labels, where: str) -> str:
    name = row.get(_CLASS) or (labels.foreground[0] if len(labels.foreground) == 1 else "")
    if name not in labels.foreground:
        raise InputError(f"{where}: the class is {name!r}, expected one of {', '.join(labels.foreground)}. Correct it.")
    return name


def _object_number(row: Mapping[str, str], where: str) -> int:
    if not row["object"].isdecimal() or int(row["object"]) < 1:
        raise InputError(f"{where}: the object is {row['object']!r}, expected its number, 1, 2, … Correct it.")
    return int(row["object"])


def _role(row: Mapping[str, str], where: str) -> str:
    if row["role"] and role_of(row["role"]) is None:
        raise InputError(
            f"{where}: the role is {row['role']!r}, expected {', '.join((INSIDE, *DIRECTIONS))}, or nothing where "
            "positions decide. Correct it."
        )
    return row["role"]


def _position(row: Mapping[str, str], where: str) -> list[float]:
    try:
        position = [float(row[axis]) for axis in "xyz"]
    except ValueError:
        position = [np.nan]
    if not np.isfinite(position).all():
        found = ", ".join(row[axis] for axis in "xyz")
        raise InputError(f"{where}: the position is {found}, expected three numbers in mm, such as 12.5. Correct it.")
    return position
