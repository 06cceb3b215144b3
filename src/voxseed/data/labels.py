"""The labels table of a dataset: class names, their values on disk, and their indices in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from voxseed.errors import InputError, UnknownNameError
from voxseed.types import BACKGROUND, IGNORE, LabelArray

BACKGROUND_NAME: Final = "background"
IGNORE_NAME: Final = "ignore"
MAX_CLASS_COUNT: Final = IGNORE
_COUNTED_TOGETHER: Final = 2**24


class Labels(Mapping[str, int]):
    """Name → value on disk, as in nnU-Net's dataset.json, `background` and a possible `ignore` included.

    In memory a class has an index: 0 is background, 1..C-1 are the foreground classes in the order of their
    values, IGNORE (255) is unannotated. Indices are dense where values need not be.

    Args:
        table: name → value. `background` is 0; `ignore`, if there, has the highest value.
        origin: where the table is from, for messages.

    Raises:
        InputError: if the table is none of this, is of nnU-Net's region-based kind, or names no foreground class.
    """

    def __init__(self, table: Mapping[str, int], origin: str = "labels") -> None:
        _require_valid(table, origin)
        self._values = dict(sorted(table.items(), key=lambda item: item[1]))
        self._foreground = tuple(name for name in self._values if name not in (BACKGROUND_NAME, IGNORE_NAME))

    @classmethod
    def of_foreground(cls, names: Sequence[str]) -> "Labels":
        """Background 0 and the given classes 1, 2, 3 and so on."""
        return cls({name: value for value, name in enumerate((BACKGROUND_NAME, *names))})

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Labels({self._values})"

    @property
    def foreground(self) -> tuple[str, ...]:
        """Foreground class names in the order of their class index, which starts at 1."""
        return self._foreground

    @property
    def class_count(self) -> int:
        """C: foreground classes and background, without ignore."""
        return len(self._foreground) + 1

    @property
    def ignore_value(self) -> int | None:
        """Value of unannotated voxels on disk, None if the table has no `ignore`."""
        return self._values.get(IGNORE_NAME)

    @property
    def next_ignore_value(self) -> int:
        """The value of `ignore`, or the one it would get: one above the highest label."""
        ignore_value = self.ignore_value
        return max(self._values.values()) + 1 if ignore_value is None else ignore_value

    def with_ignore(self) -> "Labels":
        """This table with `ignore` as its highest label."""
        return Labels({**self._values, IGNORE_NAME: self.next_ignore_value})

    def without_ignore(self) -> "Labels":
        """This table without `ignore`."""
        return Labels({name: value for name, value in self._values.items() if name != IGNORE_NAME})

    def class_index(self, name: str) -> int:
        """Index of a class in memory: 1..C-1, or 0 for `background`.

        Raises:
            UnknownNameError: if the table has no such class.
        """
        if name == BACKGROUND_NAME:
            return BACKGROUND
        if name not in self._foreground:
            raise UnknownNameError(f"Unknown class {name!r}. Known: {', '.join(self._foreground)}.")
        return self._foreground.index(name) + 1

    def classes_in(self, array: LabelArray) -> set[str]:
        """Foreground classes that occur in a label map."""
        present = set(_present(array).tolist())
        return {name for name in self._foreground if self._values[name] in present}

    def unknown_values(self, array: LabelArray) -> tuple[int, ...]:
        """Values in a label map that the table does not name, ascending."""
        return tuple(int(value) for value in np.setdiff1d(_present(array), list(self._values.values())))

    def require_known(self, array: LabelArray, origin: str) -> None:
        """Check that the table names every value of a label map.

        Args:
            array: integers, any shape.
            origin: where the map is from, for messages.

        Raises:
            InputError: if it does not.
        """
        unknown = self.unknown_values(array)
        if unknown:
            raise InputError(
                f"{origin}: label values {_listed(unknown)} are not in the labels table {self._values}. "
                "Name them in dataset.json, or correct the map."
            )

    def to_class_indices(self, array: LabelArray, origin: str = "label map") -> LabelArray:
        """Label values on disk → class indices in memory.

        Args:
            array: integers, any shape.
            origin: where it is from, for messages.

        Returns:
            uint8 of the same shape: 0..C-1, and IGNORE where the value is that of `ignore`.

        Raises:
            InputError: if a value is not in the table.
        """
        self.require_known(array, origin)
        lookup = np.full(max(self._values.values()) + 1, IGNORE, dtype=np.uint8)
        for index, name in enumerate((BACKGROUND_NAME, *self._foreground)):
            lookup[self._values[name]] = index
        return lookup[array]

    def from_class_indices(self, array: LabelArray, ignore_value: int | None = None) -> LabelArray:
        """Class indices in memory → label values on disk.

        Args:
            array: 0..C-1 and IGNORE, any shape.
            ignore_value: what to write for IGNORE if the table has no `ignore`.

        Raises:
            ValueError: if an index is no class, or if IGNORE occurs and has no value.
        """
        ignore_value = self.ignore_value if ignore_value is None else ignore_value
        values = [self._values[name] for name in (BACKGROUND_NAME, *self._foreground)]
        lookup = np.full(IGNORE + 1, -1, dtype=np.int64)
        lookup[: len(values)] = values
        if ignore_value is not None:
            lookup[IGNORE] = ignore_value
        outside = [int(index) for index in _present(array) if not 0 <= index <= IGNORE or lookup[index] < 0]
        if outside:
            raise ValueError(f"Class indices {_listed(tuple(outside))} have no label value in {self._values}.")
        return lookup.astype(np.min_scalar_type(int(lookup.max())))[array]


def labels_from_json(table: Any, origin: str) -> Labels:
    """Labels from the `labels` of a dataset.json or annotations.json.

    Raises:
        InputError: as `Labels`.
    """
    if not isinstance(table, dict) or not table:
        raise InputError(f'{origin}: expected labels such as {{"background": 0, "tumour": 1}}, found {table!r}.')
    return Labels(table, origin)


def _require_valid(table: Mapping[str, Any], origin: str) -> None:
    for name, value in table.items():
        if isinstance(value, list | tuple):
            raise InputError(
                f"{origin}: label {name!r} is the region {list(value)}; region-based labels are not supported. "
                "Give each class one integer, and merge regions when you evaluate."
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(
                f"{origin}: label {name!r} has the value {value!r}, expected an integer from 0: "
                'names map to values, as in {"background": 0, "tumour": 1}.'
            )
    if table.get(BACKGROUND_NAME) != BACKGROUND:
        raise InputError(f'{origin}: expected the label "background" with value 0, found {dict(table)}.')
    if len(set(table.values())) < len(table):
        raise InputError(f"{origin}: two labels share a value in {dict(table)}; give each its own.")
    if IGNORE_NAME in table and table[IGNORE_NAME] != max(table.values()):
        raise InputError(
            f"{origin}: the label 'ignore' has the value {table[IGNORE_NAME]}, expected the highest of all, "
            f"{max(table.values()) + 1}, as in nnU-Net."
        )
    class_count = len(set(table) - {IGNORE_NAME})
    if not 2 <= class_count <= MAX_CLASS_COUNT:
        raise InputError(f"{origin}: expected 1 to {MAX_CLASS_COUNT - 1} foreground labels, found {class_count - 1}.")


def _present(array: LabelArray) -> LabelArray:
    """Distinct values; counting is far faster than sorting for the usual uint8, but takes 8 bytes per voxel."""
    if array.dtype != np.uint8:
        return np.unique(array)
    values = array.ravel()
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, values.size, _COUNTED_TOGETHER):
        counts += np.bincount(values[start : start + _COUNTED_TOGETHER], minlength=256)
    return np.flatnonzero(counts)


def _listed(values: tuple[int, ...], limit: int = 8) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return f"{shown}, …" if len(values) > limit else shown
