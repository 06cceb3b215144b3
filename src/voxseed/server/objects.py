"""Objects of a case while they are annotated: complete ones are part of the set, others are drafts beside it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voxseed.data.annotations import ObjectBox, ObjectPoints
from voxseed.data.grids import Grid
from voxseed.data.markups import (
    PointList,
    Roi,
    object_name,
    parse_object_name,
    read_markups,
    write_box,
    write_point_list,
)
from voxseed.data.object_checks import require_box_in_image, require_plausible
from voxseed.data.object_files import box_path, markups_files, points_path
from voxseed.data.point_roles import DIRECTIONS, INSIDE, direction_labels, role_of, split_by_role
from voxseed.errors import InputError
from voxseed.server.workspace import Workspace, require_within
from voxseed.types import FloatArray

ROLES = (INSIDE, *DIRECTIONS)

Key = tuple[str, int]
"""Class name and object number."""


@dataclass(frozen=True)
class PlacedObject:
    """What was placed on one object so far.

    Attributes:
        class_name: a foreground class.
        object_number: 1, 2, … within the class and case.
        roles: one of `ROLES` per point.
        points_mm: (N, 3), RAS+ mm.
        box: its box, if one was drawn.
    """

    class_name: str
    object_number: int
    roles: tuple[str, ...] = ()
    points_mm: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    box: ObjectBox | None = None

    @property
    def key(self) -> Key:
        """Class name and object number."""
        return self.class_name, self.object_number

    @property
    def name(self) -> str:
        """As Slicer's node is called."""
        return object_name(self.class_name, self.object_number)

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles without a point, in the order in which they are asked for."""
        return tuple(role for role in ROLES if role not in self.roles)

    def points(self) -> ObjectPoints:
        """As other commands see it; expects that no role is missing."""
        inside = np.array([role == INSIDE for role in self.roles])
        return ObjectPoints(self.class_name, self.object_number, self.points_mm[inside], self.points_mm[~inside])


def problem_of(item: PlacedObject, grid: Grid, protocol: str) -> str:
    """Why nothing can be learned from an object's points yet; empty if something can, or if it has none."""
    if not item.roles:
        return ""
    if item.missing:
        return f"{item.name}: still missing {', '.join(item.missing)}."
    try:
        require_plausible(item.points(), grid, protocol, item.name)
    except InputError as error:
        return str(error)
    return ""


def read_placed(workspace: Workspace, case: str) -> dict[Key, PlacedObject]:
    """Every object of a case, drafts included.

    A draft and a file of the set for one object remain if the server was killed between writing one and removing the
    other; the younger one counts.

    Raises:
        InputError: if a file cannot be used.
    """
    grid = workspace.data.read_grid(case)
    nodes = [(path, node) for path in _files(workspace, case) for node in read_markups(path)]
    placed: dict[Key, PlacedObject] = {}
    for path, node in nodes:
        key = parse_object_name(node.name)
        if key[0] not in workspace.data.labels.foreground:
            raise InputError(f"{path}: the node is called {node.name!r}, which is no class. Rename it.")
        known = placed.get(key, PlacedObject(*key))
        if isinstance(node, Roi):
            box = ObjectBox(*key, node.center_mm, node.axes, node.size_mm)
            placed[key] = PlacedObject(*key, known.roles, known.points_mm, box)
        elif node.labels:
            placed[key] = PlacedObject(*key, _roles(node, grid, path), node.points_mm, known.box)
    return placed


def write_placed(workspace: Workspace, case: str, item: PlacedObject) -> None:
    """Save one object of a case: into the set if it is complete and plausible, else as a draft.

    Raises:
        InputError: if a class, role or number is unknown, or the box lies outside the image.
    """
    grid = workspace.data.read_grid(case)
    workspace.data.labels.class_index(item.class_name)
    _require_roles(item)
    if item.box is not None:
        require_box_in_image(item.box, grid, item.name)
    others = read_placed(workspace, case)
    others.pop(item.key, None)
    kept = _written(workspace, case, item, grid)
    for other in others.values():
        kept |= _present(workspace, case, other) or _written(workspace, case, other, grid)
    _remove_others(workspace, case, kept)


def remove_placed(workspace: Workspace, case: str, key: Key) -> None:
    """Remove an object of a case, if it is there."""
    grid = workspace.data.read_grid(case)
    kept: set[Path] = set()
    for other in read_placed(workspace, case).values():
        if other.key != key:
            kept |= _present(workspace, case, other) or _written(workspace, case, other, grid)
    _remove_others(workspace, case, kept)


def _files(workspace: Workspace, case: str) -> list[Path]:
    """All markups of a case, the youngest last.

    Raises:
        OutsideError: if one is a link to outside the set.
    """
    folders = (workspace.folder(case), workspace.drafts(case))
    paths = [require_within(workspace.path, path) for folder in folders for path in markups_files(folder)]
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns)


def _written(workspace: Workspace, case: str, item: PlacedObject, grid: Grid) -> set[Path]:
    """Write an object; its files."""
    files = set()
    if item.roles:
        complete = not problem_of(item, grid, workspace.protocol)
        folder = workspace.folder(case) if complete else workspace.drafts(case)
        path = points_path(folder, *item.key)
        write_point_list(path, PointList(item.name, item.roles, item.points_mm))
        files.add(path)
    if item.box is not None:
        path = box_path(workspace.folder(case), *item.key)
        write_box(path, item.box)
        files.add(path)
    return files


def _present(workspace: Workspace, case: str, item: PlacedObject) -> set[Path]:
    """The files of an object if they are where this module writes them; nothing if they are elsewhere."""
    files = set()
    if item.roles:
        both = [points_path(folder, *item.key) for folder in (workspace.folder(case), workspace.drafts(case))]
        found = [path for path in both if path.is_file()]
        if len(found) != 1:
            return set()
        files |= set(found)
    if item.box is not None:
        path = box_path(workspace.folder(case), *item.key)
        if not path.is_file():
            return set()
        files.add(path)
    return files


def _remove_others(workspace: Workspace, case: str, kept: set[Path]) -> None:
    for folder in (workspace.folder(case), workspace.drafts(case)):
        for path in markups_files(folder):
            if path not in kept:
                path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _roles(node: PointList, grid: Grid, path: Path) -> tuple[str, ...]:
    """The role of each point, by labels or by positions."""
    roles = [role_of(label) for label in node.labels]
    if all(roles):
        return tuple(role for role in roles if role)
    _, outside = split_by_role(node.labels, node.points_mm, grid.affine, f"{path} ({node.name})")
    directions = iter(direction_labels(outside, grid.affine))
    is_outside = (node.points_mm[:, None] == outside[None]).all(axis=2).any(axis=1)
    return tuple(next(directions) if outer else INSIDE for outer in is_outside)


def _require_roles(item: PlacedObject) -> None:
    unknown = [role for role in item.roles if role not in ROLES]
    if unknown or item.object_number < 1:
        found = f"the role {unknown[0]!r}" if unknown else f"the number {item.object_number}"
        raise InputError(f"{item.name}: {found}; expected one of {', '.join(ROLES)}, and numbers from 1.")
