"""3D Slicer markups: point lists and ROI boxes, read from .mrk.json and old .fcsv, written as .mrk.json in LPS."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxseed.data.annotations import ObjectBox, ObjectPoints
from voxseed.data.point_roles import INSIDE, direction_labels
from voxseed.errors import InputError
from voxseed.files import read_json, write_json
from voxseed.types import FloatArray

SUFFIXES = (".mrk.json", ".fcsv")

_SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
# Slicer's vtkMRMLStorageNode numbers the systems; old files hold the number.
_TO_RAS = {"LPS": _LPS_TO_RAS, "1": _LPS_TO_RAS, "RAS": np.eye(3), "0": np.eye(3)}
_POINT_TYPES = ("Fiducial", "PointList")
_DEFINED = "defined"
_SYSTEM = {"coordinateSystem": "LPS", "coordinateUnits": "mm"}
_FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


@dataclass(frozen=True)
class PointList:
    """A node of points.

    Attributes:
        name: the node's, else the file's stem.
        labels: one per point, as in the file.
        points_mm: (N, 3), RAS+ mm.
    """

    name: str
    labels: tuple[str, ...]
    points_mm: FloatArray


@dataclass(frozen=True)
class Roi:
    """A node that is an oriented box.

    Attributes:
        center_mm: (3,), RAS+.
        axes: (3, 3), unit vectors as columns, RAS+.
        size_mm: (3,), full extents along the columns of `axes`.
    """

    name: str
    center_mm: FloatArray
    axes: FloatArray
    size_mm: FloatArray


def read_markups(path: Path) -> tuple[PointList | Roi, ...]:
    """Read every node of a markups file; points whose position is not defined are left out.

    Raises:
        InputError: if the file is missing, no markups file, or holds nodes or coordinates of another kind.
    """
    stem = node_stem(path)
    if path.name.lower().endswith(".fcsv"):
        return (_read_fcsv(path, stem),)
    content = read_json(path)
    nodes = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise InputError(f'{path}: no Slicer markups file, it has no list "markups". Save the node again from Slicer.')
    try:
        return tuple(_node(node, stem, path) for node in nodes)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged markups ({type(error).__name__}: {error}). Save the node again.") from None


def write_points(path: Path, points: ObjectPoints, affine: FloatArray) -> None:
    """Write the points of one object as one node, labelled with their roles.

    Args:
        path: ends in .mrk.json.
        points: the object.
        affine: (4, 4), of the image; its axes give the outside points their directions.
    """
    labels = [INSIDE] * len(points.inside_mm) + direction_labels(points.outside_mm, affine)
    name = object_name(points.class_name, points.object_number)
    write_point_list(path, PointList(name, tuple(labels), np.concatenate([points.inside_mm, points.outside_mm])))


def write_point_list(path: Path, node: PointList) -> None:
    """Write a node of points with its own labels.

    Args:
        path: ends in .mrk.json.
        node: the points.
    """
    _write_node(path, _fiducials(node))


def write_box(path: Path, box: ObjectBox) -> None:
    """Write the box of one object as one ROI node."""
    name, center = object_name(box.class_name, box.object_number), (_LPS_TO_RAS @ box.center_mm).tolist()
    node = {
        "type": "ROI",
        "name": name,
        "roiType": "Box",
        "center": center,
        "orientation": (_LPS_TO_RAS @ box.axes).ravel().tolist(),
        "size": np.asarray(box.size_mm, dtype=float).tolist(),
        "insideOut": False,
        "controlPoints": [{"id": "1", "label": name, "position": center, "positionStatus": _DEFINED}],
    }
    _write_node(path, node)


def rename_nodes(path: Path, new_name: Callable[[str], str], target: Path) -> None:
    """Write a markups file with other node names and everything else as it was.

    Args:
        path: .mrk.json or .fcsv; of the latter, whose only name is the file's, the points and their labels are kept.
        new_name: of a node name, the new one.
        target: ends in .mrk.json.

    Raises:
        InputError: as `read_markups`.
    """
    nodes = read_markups(path)
    if path.name.lower().endswith(".fcsv"):
        lists = [_fiducials(node) for node in nodes if isinstance(node, PointList)]
        content: Any = {"@schema": _SCHEMA, "markups": lists}
    else:
        content = read_json(path)
    for node, raw in zip(nodes, content["markups"], strict=True):
        raw["name"] = new_name(node.name)
    write_json(target, content)


def object_name(class_name: str, object_number: int) -> str:
    """Node name of an object: the class, and from the second object on its number ("tumour#2")."""
    return class_name if object_number == 1 else f"{class_name}#{object_number}"


def parse_object_name(name: str) -> tuple[str, int]:
    """Class name and object number of a node name; the inverse of `object_name`."""
    class_name, separator, number = name.rpartition("#")
    if separator and number.isdecimal() and int(number) >= 1:
        return class_name, int(number)
    return name, 1


def node_stem(path: Path) -> str:
    """File name without the markups suffix."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def ras_from(system: Any, path: Path) -> FloatArray:
    """Matrix (3, 3) from positions in a coordinate system, as Slicer names or numbers it, to RAS+.

    Raises:
        InputError: if it is neither LPS nor RAS.
    """
    matrix = _TO_RAS.get(str(system))
    if matrix is None:
        raise InputError(f"{path}: coordinate system {system!r}, expected LPS or RAS. Correct it.")
    return matrix


def _write_node(path: Path, node: dict[str, Any]) -> None:
    write_json(path, {"@schema": _SCHEMA, "markups": [{**node, **_SYSTEM}]})


def _fiducials(node: PointList) -> dict[str, Any]:
    positions = node.points_mm @ _LPS_TO_RAS
    control_points = [
        {"id": str(number), "label": label, "position": position.tolist(), "positionStatus": _DEFINED}
        for number, (label, position) in enumerate(zip(node.labels, positions, strict=True), start=1)
    ]
    return {"type": "Fiducial", "name": node.name, "controlPoints": control_points, **_SYSTEM}


def _node(node: dict[str, Any], stem: str, path: Path) -> PointList | Roi:
    kind, name = node.get("type"), str(node.get("name") or stem)
    to_ras = ras_from(node.get("coordinateSystem", "LPS"), path)
    _require_mm(node.get("coordinateUnits", "mm"), path)
    if kind in _POINT_TYPES:
        return _point_list(node, name, to_ras)
    if kind == "ROI":
        return _roi(node, name, to_ras, path)
    raise InputError(f"{path}: a markups node of type {kind!r}, expected a point list (Fiducial) or an ROI.")


def _point_list(node: dict[str, Any], name: str, to_ras: FloatArray) -> PointList:
    defined = [point for point in node["controlPoints"] if point.get("positionStatus", _DEFINED) == _DEFINED]
    positions = [_finite(point["position"], 3) for point in defined]
    labels = tuple(str(point.get("label", "")) for point in defined)
    return PointList(name, labels, np.reshape(positions, (-1, 3)) @ to_ras)


def _roi(node: dict[str, Any], name: str, to_ras: FloatArray, path: Path) -> Roi:
    if node.get("insideOut"):
        raise InputError(f"{path}: ROI {name!r} is inside out; a box is the object's inside. Turn this off in Slicer.")
    center, size = _finite(node["center"], 3), _finite(node["size"], 3)
    axes = _finite(node.get("orientation", to_ras.ravel().tolist()), 9).reshape(3, 3)
    if (size <= 0).any():
        raise InputError(f"{path}: ROI {name!r} has the size {size.tolist()} mm, expected three positive lengths.")
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(f"{path}: the orientation of ROI {name!r} is no rotation. Save the ROI again from Slicer.")
    return Roi(name, to_ras @ center, to_ras @ axes, size)


def _read_fcsv(path: Path, stem: str) -> PointList:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: no Slicer fiducial file, it is not text. Save the node again from Slicer.") from None
    header = dict(_header_entry(line) for line in lines if line.startswith("#") and "=" in line)
    to_ras = ras_from(header.get("CoordinateSystem", "RAS"), path)
    columns = [column.strip() for column in header.get("columns", _FCSV_COLUMNS).split(",")]
    labels, positions = [], []
    for row in csv.reader(line for line in lines if line.strip() and not line.startswith("#")):
        values = dict(zip(columns, row, strict=False))
        try:
            positions.append(_finite([float(values[axis]) for axis in "xyz"], 3))
        except (KeyError, ValueError):
            raise InputError(f"{path}: expected the columns {','.join(columns)}, found {','.join(row)!r}.") from None
        labels.append(values.get("label", ""))
    return PointList(stem, tuple(labels), np.reshape(positions, (-1, 3)) @ to_ras)


def _header_entry(line: str) -> tuple[str, str]:
    key, _, value = line.lstrip("# ").partition("=")
    return key.strip(), value.strip()


def _require_mm(units: Any, path: Path) -> None:
    """Units are "mm" or a coded triple that starts with it."""
    unit = units[0] if isinstance(units, list) and units else units
    if unit != "mm":
        raise InputError(f"{path}: coordinates in {json.dumps(units)}, expected mm. Save the node again in mm.")


def _finite(values: Any, count: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"expected {count} numbers, found {values}")
    return array
