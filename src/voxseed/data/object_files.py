"""Annotated objects of one case as Slicer markups in a folder."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from voxseed.data.annotations import SCATTERED_POINTS, ObjectBox, ObjectPoints
from voxseed.data.grids import OnGrid
from voxseed.data.labels import Labels
from voxseed.data.markups import (
    SUFFIXES,
    PointList,
    Roi,
    object_name,
    parse_object_name,
    read_markups,
    write_box,
    write_points,
)
from voxseed.data.object_checks import require_box_in_image, require_plausible
from voxseed.data.point_roles import all_inside, split_by_role
from voxseed.errors import InputError
from voxseed.types import FloatArray

_PATIENT_AXES = np.eye(4)


def read_objects(
    folder: Path, labels: Labels, protocol: str, grid: OnGrid | None
) -> tuple[tuple[ObjectPoints, ...], tuple[ObjectBox, ...]]:
    """Read every object of a case; nothing if there is no folder.

    Args:
        folder: of the case.
        labels: of the dataset.
        protocol: of the annotation set.
        grid: of the image, along whose axes points are resolved and which they must fit; None takes the patient's axes.

    Raises:
        InputError: if a file is wrong, an object is ambiguous, of no class, there twice, or does not fit the image.
    """
    nodes = [(path, node) for path in markups_files(folder) for node in read_markups(path)]
    return objects_of_nodes(nodes, labels, protocol, grid, str(folder))


def objects_of_nodes(
    nodes: Sequence[tuple[Path, PointList | Roi]], labels: Labels, protocol: str, grid: OnGrid | None, origin: str
) -> tuple[tuple[ObjectPoints, ...], tuple[ObjectBox, ...]]:
    """The objects of a case that nodes mean; lists without a point are left out.

    Args:
        nodes: each with its file, for messages.
        labels: of the dataset.
        protocol: of the annotation set.
        grid: as in `read_objects`.
        origin: of all nodes together, for messages.

    Raises:
        InputError: as `read_objects`.
    """
    points: list[ObjectPoints] = []
    boxes: list[ObjectBox] = []
    for path, node in nodes:
        class_name, number = _class_and_number(node.name, labels, path)
        if isinstance(node, Roi):
            boxes.append(_box(node, class_name, number, grid, path))
        elif node.labels:
            points.append(_points(node, class_name, number, protocol, grid, path))
    _require_different(points, origin)
    _require_different(boxes, origin)
    return tuple(points), tuple(boxes)


def write_objects(folder: Path, points: Sequence[ObjectPoints], boxes: Sequence[ObjectBox], affine: FloatArray) -> None:
    """Write the objects of a case, one file each, and remove other markups of the case.

    Args:
        folder: of the case; made only if there is an object.
        points: objects annotated by points.
        boxes: objects annotated by boxes.
        affine: (4, 4), of the image; its axes give points their directions.
    """
    written = set()
    for item in points:
        path = points_path(folder, item.class_name, item.object_number)
        write_points(path, item, affine)
        written.add(path)
    for box in boxes:
        path = box_path(folder, box.class_name, box.object_number)
        write_box(path, box)
        written.add(path)
    for path in markups_files(folder):
        if path not in written:
            path.unlink()


def points_path(folder: Path, class_name: str, object_number: int) -> Path:
    """Where the points of an object are written."""
    return folder / f"{_stem(class_name, object_number)}.mrk.json"


def box_path(folder: Path, class_name: str, object_number: int) -> Path:
    """Where the box of an object is written."""
    return folder / f"{_stem(class_name, object_number)}.box.mrk.json"


def markups_files(folder: Path) -> list[Path]:
    """Markups of a folder, sorted; none if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    )


def _class_and_number(name: str, labels: Labels, path: Path) -> tuple[str, int]:
    class_name, number = parse_object_name(name)
    if class_name not in labels.foreground:
        raise InputError(
            f"{path}: the node is called {name!r}, which is no class; expected one of "
            f"{', '.join(labels.foreground)}, and #2, #3, … after it for further objects. Rename the node."
        )
    return class_name, number


def _points(
    node: PointList, class_name: str, number: int, protocol: str, grid: OnGrid | None, path: Path
) -> ObjectPoints:
    origin = f"{path} ({node.name})"
    affine = _PATIENT_AXES if grid is None else grid.affine
    if protocol == SCATTERED_POINTS:
        inside, outside = all_inside(node.labels, node.points_mm, origin)
    else:
        inside, outside = split_by_role(node.labels, node.points_mm, affine, origin)
    points = ObjectPoints(class_name, number, inside, outside)
    if grid is not None:
        require_plausible(points, grid, protocol, origin)
    return points


def _box(node: Roi, class_name: str, number: int, grid: OnGrid | None, path: Path) -> ObjectBox:
    box = ObjectBox(class_name, number, node.center_mm, node.axes, node.size_mm)
    if grid is not None:
        require_box_in_image(box, grid, f"{path} ({node.name})")
    return box


def _stem(class_name: str, object_number: int) -> str:
    """A file name; class names may hold what file names may not, and the node's own name counts on reading."""
    return quote(object_name(class_name, object_number), safe=" #()+,")


def _require_different(objects: Sequence[ObjectPoints] | Sequence[ObjectBox], origin: str) -> None:
    counts = Counter(object_name(item.class_name, item.object_number) for item in objects)
    for name, count in counts.items():
        if count > 1:
            raise InputError(
                f"{origin}: {count} nodes are called {name!r}, expected one per object. Call further objects of the "
                f"class {parse_object_name(name)[0]}#2, #3, …"
            )
