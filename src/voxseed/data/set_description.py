"""annotations.json: what an annotation set says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voxseed.data.labels import Labels, labels_from_json
from voxseed.data.markups import SUFFIXES as MARKUPS_SUFFIXES
from voxseed.errors import InputError
from voxseed.files import read_json, write_json

DESCRIPTION_NAME = "annotations.json"
_VERSION = 1
_KNOWN_KEYS = {"version", "protocol", "labels", "seed", "author", "absent", "dense"}


@dataclass(frozen=True)
class SetDescription:
    """Content of annotations.json.

    Attributes:
        protocol: the kind of annotation.
        labels: the table that painted maps are in, with or without `ignore`.
        seed: of a simulation.
        author: who annotated.
        absent: case → foreground classes that do not occur in it.
        dense: cases whose painted map has every voxel annotated, in a set of another protocol.
        extra: whatever else the file holds, kept as it is.
    """

    protocol: str
    labels: Labels
    seed: int | None = None
    author: str | None = None
    absent: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dense: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def with_absent(self, case: str, names: frozenset[str]) -> "SetDescription":
        """The same, with the absent classes of one case replaced."""
        others = {other: absent for other, absent in self.absent.items() if other != case}
        return replace(self, absent={**others, case: names} if names else others)

    def with_extra(self, key: str, value: Any) -> "SetDescription":
        """The same, with one of the other keys replaced; left out where the value is empty."""
        others = {other: kept for other, kept in self.extra.items() if other != key}
        return replace(self, extra={**others, key: value} if value else others)

    def write(self, folder: Path) -> None:
        """Write annotations.json into the folder of the set, atomically."""
        content: dict[str, Any] = {"version": _VERSION, "protocol": self.protocol, "labels": dict(self.labels)}
        optional = {"seed": self.seed, "author": self.author}
        content |= {key: value for key, value in optional.items() if value is not None}
        if self.absent:
            content["absent"] = {case: sorted(names) for case, names in sorted(self.absent.items())}
        if self.dense:
            content["dense"] = sorted(self.dense)
        write_json(folder / DESCRIPTION_NAME, content | dict(self.extra))


def read_set_description(folder: Path, labels: Labels) -> SetDescription:
    """Read annotations.json of a set that belongs to a dataset with these labels.

    A folder of Slicer markups needs no such file: they name their classes, and are taken as points.

    Raises:
        InputError: if the folder or file is missing or wrong, or the labels table no longer fits; says what to do.
    """
    description = load_set_description(folder, labels)
    _require_fitting(description.labels, labels, folder / DESCRIPTION_NAME)
    return description


def load_set_description(folder: Path, labels: Labels) -> SetDescription:
    """Read annotations.json, whatever labels table it was made for.

    Args:
        folder: of the set.
        labels: those of a folder of markups without that file.

    Raises:
        InputError: if the folder or file is missing or wrong.
    """
    path = folder / DESCRIPTION_NAME
    if not folder.is_dir():
        raise InputError(f"{folder}: no such annotation set.")
    if not path.is_file() and _has_markups(folder):
        return SetDescription("points", labels.with_ignore())
    if not path.is_file():
        example = str(dict(labels.with_ignore())).replace("'", '"')
        raise InputError(
            f"{folder}: a folder without {DESCRIPTION_NAME}. To make an annotation set of it, write that file with "
            f'this, adapted: {{"version": 1, "protocol": "scribbles", "labels": {example}}}'
        )
    content = read_json(path)
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        found = content.get("version") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path}: expected an annotation set of version {_VERSION}, found {found!r}.")
    table = labels_from_json(content.get("labels"), str(path))
    return SetDescription(
        protocol=_protocol(content.get("protocol"), path),
        labels=table,
        seed=_optional(content, "seed", int, path),
        author=_optional(content, "author", str, path),
        absent=_absent(content.get("absent", {}), table, path),
        dense=_dense(content.get("dense", []), path),
        extra={key: value for key, value in content.items() if key not in _KNOWN_KEYS},
    )


def same_table(a: Labels, b: Labels) -> bool:
    """Whether two tables mean the same; whether either names `ignore` does not matter, its value does."""
    return a.without_ignore() == b.without_ignore() and a.next_ignore_value == b.next_ignore_value


def _has_markups(folder: Path) -> bool:
    return any(next(folder.glob(f"*/*{suffix}"), None) is not None for suffix in MARKUPS_SUFFIXES)


def _protocol(value: Any, path: Path) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f'{path}: expected a protocol such as "points" or "scribbles", found {value!r}.')
    return value


def _optional(content: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    value = content.get(key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{path}: {key} is {value!r}, expected {kind.__name__}.")
    return value


def _absent(value: Any, labels: Labels, path: Path) -> dict[str, frozenset[str]]:
    if not isinstance(value, dict) or not all(isinstance(names, list) for names in value.values()):
        raise InputError(f'{path}: expected absent such as {{"CASE": ["tumour"]}}, found {value!r}.')
    for case, names in value.items():
        unknown = [name for name in names if name not in labels.foreground]
        if unknown:
            raise InputError(
                f"{path}: absent names the class {unknown[0]!r} in case {case}; the labels are "
                f"{', '.join(labels.foreground)}. Correct the name."
            )
    return {case: frozenset(names) for case, names in value.items()}


def _dense(value: Any, path: Path) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(case, str) for case in value):
        raise InputError(f'{path}: expected dense such as ["CASE"], found {value!r}.')
    return frozenset(value)


def _require_fitting(found: Labels, dataset: Labels, path: Path) -> None:
    if not same_table(found, dataset):
        raise InputError(
            f"{path}: made for the labels {dict(found)}, but the dataset has {dict(dataset.with_ignore())}. "
            "Bring annotations up to date with voxseed dataset relabel (--rename OLD=NEW for each class that is called "
            "otherwise now), or give dataset.json the old labels again."
        )
