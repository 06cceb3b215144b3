"""Painted maps while they are painted: changed slice by slice, each change on disk before it is answered."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
from scipy.ndimage import distance_transform_edt

from voxseed.data.grids import Grid, require_same_grid
from voxseed.data.volumes import SUFFIXES, Volume, canonical, like, read_label, write_volume
from voxseed.errors import InputError
from voxseed.server.workspace import Workspace, require_within
from voxseed.types import IGNORE, BoolArray, FloatArray, LabelArray

_KEPT_MAPS = 2


@dataclass(frozen=True)
class SliceEdit:
    """New values in one slice.

    Attributes:
        axis: 0, 1 or 2, that the slice is perpendicular to, in canonical order (right, anterior, superior).
        index: of the slice.
        runs: (start, length, value) each; start counts voxels of the slice, the lower axis fastest; value is a class
            index, or IGNORE for what nobody annotated.
    """

    axis: int
    index: int
    runs: Sequence[tuple[int, int, int]]


class PaintedMaps:
    """The painted maps of a workspace. The latest ones are kept in memory, in canonical order."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._maps: OrderedDict[str, Volume] = OrderedDict()
        self._lock = Lock()

    def is_there(self, case: str) -> bool:
        """Whether anything of a case was ever painted."""
        return bool(self._paths(case))

    def read(self, case: str) -> Volume:
        """Class indices of a case in canonical order, IGNORE where nobody painted."""
        with self._lock:
            return self._map(case)

    def edit(self, case: str, edits: Sequence[SliceEdit]) -> None:
        """Change slices, and write the map before returning.

        Raises:
            InputError: if a slice, run or value is none of the map; nothing is changed then.
        """
        with self._lock:
            volume = self._map(case)
            changed = volume.array.copy()
            for edit in edits:
                _apply(changed, edit, self._workspace.data.labels.class_count)
            self._write(case, Volume(changed, volume.affine))
            self._maps[case] = Volume(changed, volume.affine)

    def _map(self, case: str) -> Volume:
        if case not in self._maps:
            self._maps[case] = self._read(case)
            while len(self._maps) > _KEPT_MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(case)
        return self._maps[case]

    def _read(self, case: str) -> Volume:
        grid, labels = self._workspace.data.read_grid(case), self._workspace.data.labels.with_ignore()
        paths = self._paths(case)
        if not paths:
            return canonical(Volume(np.full(grid.shape, IGNORE, np.uint8), grid.affine))
        label = read_label(paths[0])
        require_same_grid(label, paths[0], grid, Path(f"the image of {case}"))
        return canonical(Volume(labels.to_class_indices(label.array, str(paths[0])), grid.affine))

    def _write(self, case: str, volume: Volume) -> None:
        """A map in which nothing is painted is no file: other commands refuse an empty annotation."""
        target = self._workspace.painted_path(case)
        if (volume.array != IGNORE).any():
            grid: Grid = self._workspace.data.read_grid(case)
            values = self._workspace.data.labels.with_ignore().from_class_indices(like(volume, grid).array)
            write_volume(target, Volume(values, grid.affine))
        else:
            target.unlink(missing_ok=True)
        for path in self._paths(case):
            if path != target:
                path.unlink()

    def _paths(self, case: str) -> list[Path]:
        folder = self._workspace.path
        paths = (folder / f"{self._workspace.require_case(case)}{suffix}" for suffix in SUFFIXES)
        return [require_within(folder, path) for path in paths if path.is_file()]


def _apply(array: LabelArray, edit: SliceEdit, class_count: int) -> None:
    """Change one slice of a map (I, J, K) in place."""
    if not (edit.axis in (0, 1, 2) and 0 <= edit.index < array.shape[edit.axis]):
        raise InputError(f"Slice {edit.index} of axis {edit.axis}: a map of shape {array.shape} has none.")
    plane = np.moveaxis(array, edit.axis, 0)[edit.index]
    values = plane.ravel(order="F")
    for start, length, value in edit.runs:
        if start < 0 or length < 1 or start + length > values.size:
            raise InputError(f"Voxels {start} to {start + length} of a slice: it has {values.size}.")
        if not (0 <= value < class_count or value == IGNORE):
            raise InputError(f"Class index {value}: expected 0 to {class_count - 1}, or {IGNORE} for unannotated.")
        values[start : start + length] = value
    plane[...] = values.reshape(plane.shape, order="F")


def slices_between(array: LabelArray, axis: int, class_index: int) -> list[SliceEdit]:
    """What fills the gaps between the slices on which a class is painted.

    Between two such slices without another between them, a voxel that nobody annotated gets the class where the signed
    distances to the outlines of both, averaged by nearness, are negative (shape-based interpolation, Raya and Udupa
    1990). Distances are in voxels.

    Args:
        array: (I, J, K), class indices, IGNORE where unannotated.
        axis: that the slices are perpendicular to.
        class_index: 1..C-1.
    """
    planes = np.moveaxis(array, axis, 0)
    painted = [int(index) for index in np.flatnonzero((planes == class_index).any(axis=(1, 2)))]
    edits = []
    for first, last in pairwise(painted):
        below, above = (_signed_distance(planes[index] == class_index) for index in (first, last))
        for index in range(first + 1, last):
            share = (index - first) / (last - first)
            filled = ((1 - share) * below + share * above < 0) & (planes[index] == IGNORE)
            runs = [(start, length, class_index) for start, length in _runs(filled.ravel(order="F"))]
            if runs:
                edits.append(SliceEdit(axis, index, runs))
    return edits


def _signed_distance(mask: BoolArray) -> FloatArray:
    """Distance to the outline in voxels, negative inside."""
    distance: FloatArray = distance_transform_edt(~mask) - distance_transform_edt(mask)
    return distance


def _runs(mask: BoolArray) -> list[tuple[int, int]]:
    """Start and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop - start)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
