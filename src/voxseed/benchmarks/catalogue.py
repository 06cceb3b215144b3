"""The tables that exist by name, each a file in `tables/`, and tables in files of one's own."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import yaml

from voxseed.benchmarks.definitions import Table
from voxseed.errors import InputError, UnknownNameError
from voxseed.settings import read_yaml, validate

ALL: Final = "all"
"""Every table of a protocol."""
_SUFFIX = ".yaml"
_SOURCE_OF_COMMON = "Zhai et al. 2023"


def table_names() -> list[str]:
    """Names of the tables that come with Voxseed, sorted."""
    return sorted(entry.name.removesuffix(_SUFFIX) for entry in _folder().iterdir() if entry.name.endswith(_SUFFIX))


def chosen_tables(name: str, protocol: str | None = None) -> dict[str, Table]:
    """Name → table: one by its name, one in a file that ends in .yaml, or `all` of a protocol.

    Args:
        name: of a table, or `all`, or a path.
        protocol: which of them `all` means; points if not given.

    Raises:
        UnknownNameError: lists the known tables.
        InputError: if a file is no table.
    """
    if name == ALL:
        found = {each: get_table(each) for each in table_names()}
        wanted = protocol or "points"
        return {each: table for each, table in found.items() if table.part_of_all and table.protocol == wanted}
    if name.endswith(_SUFFIX):
        return {Path(name).stem: read_table(Path(name))}
    return {name: get_table(name)}


def get_table(name: str) -> Table:
    """The table of that name.

    Raises:
        UnknownNameError: lists the known ones.
    """
    if name not in table_names():
        raise UnknownNameError(f"Unknown table {name!r}. Known: {', '.join([*table_names(), ALL])}.")
    file = _folder() / f"{name}{_SUFFIX}"
    return _validated(yaml.safe_load(file.read_text(encoding="utf-8")), str(file))


def read_table(path: Path) -> Table:
    """A table in a file.

    Raises:
        InputError: if it is missing or no table.
    """
    return _validated(read_yaml(path), str(path))


def _validated(values: dict[str, Any], origin: str) -> Table:
    """A row without content is the one of that name in `common_rows.yaml`."""
    rows = values.get("rows")
    if isinstance(rows, dict):
        is_same = str(values.get("source", "")).startswith(_SOURCE_OF_COMMON)
        filled = {name: _common_row(name, origin, is_same) if row is None else row for name, row in rows.items()}
        values = {**values, "rows": filled}
    return validate(Table, values, origin)


def _common_row(name: str, origin: str, with_published: bool) -> dict[str, Any]:
    """With the published numbers, if the table is of the paper that has them."""
    common = _common_rows()
    if name not in common:
        raise InputError(f"{origin}: row {name!r} has no content and is none of {', '.join(common)}. Describe it.")
    return {key: value for key, value in common[name].items() if key != "published" or with_published}


@cache
def _common_rows() -> dict[str, dict[str, Any]]:
    text = (files("voxseed.benchmarks") / "common_rows.yaml").read_text(encoding="utf-8")
    rows: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return rows


def _folder() -> Traversable:
    return files("voxseed.benchmarks") / "tables"
