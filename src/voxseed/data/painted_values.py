"""What the values of a painted map from another tool mean."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from voxseed.data.labels import BACKGROUND_NAME, IGNORE_NAME, Labels
from voxseed.data.relabelling import changed_values
from voxseed.errors import InputError
from voxseed.types import LabelArray


def meanings(
    labels: Labels, unannotated: Sequence[int], background: Sequence[int], names: Mapping[int, str]
) -> dict[int, int]:
    """Value in the map → value in the dataset; of every value that means something.

    A value that no argument explains is the label of that value in the dataset. That of `ignore` is one of these only
    if the dataset names it, because another tool may mean something else by it, such as painted background.

    Args:
        labels: of the dataset.
        unannotated: values that become `ignore`.
        background: values that become background.
        names: value → label that it becomes.

    Raises:
        InputError: if a value is given twice or negative, or a name is no label.
    """
    given = Counter([*unannotated, *background, *names])
    twice = next((value for value, count in given.items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"The value {twice} is given twice by --unannotated, --background and --map; expected one meaning of each."
        )
    table = labels.with_ignore()
    for value, name in names.items():
        if name not in table:
            raise InputError(f"--map {value}={name}: no label {name!r} in the dataset; expected {_listed(labels)}.")
    if min(given, default=0) < 0:
        raise InputError(f"The value {min(given)} is negative, expected values from 0, as label maps have them.")
    return {
        **{value: value for value in labels.values()},
        **dict.fromkeys(unannotated, table[IGNORE_NAME]),
        **dict.fromkeys(background, table[BACKGROUND_NAME]),
        **{value: table[name] for value, name in names.items()},
    }


def translated(array: LabelArray, values: Mapping[int, int], labels: Labels, is_dense: bool, origin: str) -> LabelArray:
    """A painted map in the values of the dataset.

    Args:
        array: integers, any shape.
        values: as `meanings` gives them.
        labels: of the dataset.
        is_dense: whether every voxel may be annotated.
        origin: the file, for messages.

    Raises:
        InputError: if a value means nothing, or no voxel, or none but unannotated ones, are there.
    """
    found, counts = np.unique(array, return_counts=True)
    unknown = {int(value): int(count) for value, count in zip(found, counts, strict=True) if int(value) not in values}
    if unknown:
        value, count = next(iter(unknown.items()))
        others = f", and of the values {', '.join(map(str, list(unknown)[1:9]))}" if len(unknown) > 1 else ""
        raise InputError(
            f"{origin}: {count} voxels of the value {value}{others}, which no label of the dataset has; expected "
            f"{_listed(labels)}. {_remedy(value, values, labels)}"
        )
    result = changed_values(array, values)
    ignored = result == labels.next_ignore_value
    if ignored.all():
        raise InputError(f"{origin}: empty annotation, no voxel is annotated. Annotate the case, or leave out the map.")
    if not is_dense and not ignored.any():
        raise InputError(
            f"{origin}: no voxel is unannotated; is it dense, or painted with 0 for unannotated? If 0 is unannotated: "
            "--unannotated 0, with --background for the value of painted background; if every voxel is annotated: "
            "--protocol dense, or noisy-dense if a tool made it."
        )
    return result


def _remedy(value: int, values: Mapping[int, int], labels: Labels) -> str:
    """What to give for a value without a meaning; that of an `ignore` that no table names is used in two ways."""
    if value == labels.next_ignore_value and values.get(labels[BACKGROUND_NAME]) == labels[BACKGROUND_NAME]:
        command = "voxseed dataset import-labels MAPS --into DATASET"
        return (
            f"If it is painted background, and nobody looked where 0 is: {command} --unannotated 0 "
            f"--background {value}. If nobody looked there, and 0 is background: {command} --unannotated {value}. "
            f"If it is a class: --map {value}=NAME."
        )
    return f"Say what it is: --map {value}=NAME, --background {value} or --unannotated {value}."


def _listed(labels: Labels) -> str:
    return ", ".join(f"{value} ({name})" for name, value in labels.items())
