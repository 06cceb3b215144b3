"""Changing a labels table: which name and which value becomes which."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from voxseed.data.labels import BACKGROUND_NAME, IGNORE_NAME, Labels
from voxseed.data.markups import parse_object_name
from voxseed.errors import InputError
from voxseed.types import LabelArray


def changed_table(labels: Labels, renames: Mapping[str, str], added: Sequence[str]) -> Labels:
    """The table with classes renamed and added; a change that was made already is left as it is.

    Renamed classes keep their values, added ones get the next above all classes. `ignore` moves up if it must.

    Args:
        labels: the table, with or without `ignore`.
        renames: old name → new name.
        added: names of new classes.

    Raises:
        InputError: if a class to rename is not there, a name is taken or reserved, or no class can be called so.
    """
    for name in (*renames, *renames.values(), *added):
        _require_class_name(name)
    for old, new in renames.items():
        if old not in labels and new not in labels:
            raise InputError(
                f"--rename {old}={new}: no class {old!r} in the labels {dict(labels)}. Correct the old name."
            )
    names = [renames.get(name, name) for name in labels if name != IGNORE_NAME]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"--rename: two classes would be called {twice!r}; choose another name for one of them.")
    values = [value for name, value in labels.items() if name != IGNORE_NAME]
    table = dict(zip(names, values, strict=True))
    for name in added:
        table.setdefault(name, max(table.values()) + 1)
    ignore = labels.ignore_value
    return Labels(table if ignore is None else {**table, IGNORE_NAME: max(ignore, max(table.values()) + 1)}, "--add")


def added_by(wanted: Sequence[str], labels: Labels, renames: Mapping[str, str]) -> list[str]:
    """Which classes a complete list of names adds to a table.

    Args:
        wanted: every name after the change, `background` and `ignore` or not.
        labels: the table before it.
        renames: old name → new name.

    Raises:
        InputError: if the list lacks a class, which would be lost.
    """
    kept = [renames.get(name, name) for name in labels.foreground]
    lost = next((name for name in kept if name not in wanted), None)
    if lost is not None:
        raise InputError(
            f"--labels {','.join(wanted)}: lacks {lost!r}, which the dataset has. Classes are not removed; if it is "
            f"called otherwise now, add --rename {lost}=NEW, else list it."
        )
    return [name for name in wanted if name not in (*kept, BACKGROUND_NAME, IGNORE_NAME)]


def value_changes(old: Labels, new: Labels, renames: Mapping[str, str]) -> dict[int, int]:
    """Value in old maps → value in new maps, of every name; the value of `ignore` included.

    Raises:
        KeyError: if a class of the old table is in the new one under no name.
    """
    after = new.with_ignore()
    return {value: after[renames.get(name, name)] for name, value in old.with_ignore().items()}


def changed_values(array: LabelArray, changes: Mapping[int, int]) -> LabelArray:
    """A label map, any shape, with every value replaced; all must be in `changes`."""
    lookup = np.zeros(max(changes) + 1, dtype=np.min_scalar_type(max(changes.values())))
    for old, new in changes.items():
        lookup[old] = new
    return lookup[array]


def _require_class_name(name: str) -> None:
    if not name or name in (BACKGROUND_NAME, IGNORE_NAME) or parse_object_name(name) != (name, 1):
        raise InputError(
            f"{name!r} cannot be the name of a class: expected a name other than background and ignore, without a "
            "number after #, which counts objects. Choose another name."
        )
