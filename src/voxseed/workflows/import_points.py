"""Import points: markups of 3D Slicer and tables of points into an annotation set."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.markups import SUFFIXES, PointList, Roi, node_stem, parse_object_name, ras_from, read_markups
from voxseed.data.object_files import objects_of_nodes
from voxseed.data.point_tables import read_point_table
from voxseed.errors import InputError
from voxseed.progress import track
from voxseed.workflows.new_set import new_set, place_of_new_set

_TABLE = ".csv"
_Nodes: TypeAlias = list[tuple[Path, PointList | Roi]]


@dataclass(frozen=True)
class PointImportSummary:
    """What was imported.

    Attributes:
        path: the folder of the set.
        cases: those that are annotated now.
        class_cases: class → in how many cases it has an object.
        class_objects: class → how many objects, in all cases.
    """

    path: Path
    cases: tuple[str, ...]
    class_cases: Mapping[str, int]
    class_objects: Mapping[str, int]

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        return ("class", "cases", "objects")

    def rows(self) -> list[tuple[str, int, int]]:
        """One row per class."""
        return [(name, self.class_cases[name], count) for name, count in self.class_objects.items()]


def import_points(
    files: Sequence[str | Path],
    dataset: str | Path,
    *,
    coordinates: str | None = None,
    protocol: str = "points",
    set_name: str | None = None,
    out: str | Path | None = None,
) -> PointImportSummary:
    """Write a new annotation set of points and boxes.

    A markups file belongs to the case that its folder is called (CASE/tumour.mrk.json), or that its name begins with
    (CASE.mrk.json, CASE_tumour.mrk.json). Nodes without a name get what follows there, or the only class.

    Args:
        files: .mrk.json, .fcsv and .csv, and folders with such files at any depth.
        dataset: folder in the nnU-Net raw layout.
        coordinates: RAS or LPS, of the positions in tables, which do not say it themselves.
        protocol: `points`; `extreme-points` if the outside points lie on the objects; `scattered-points` if there is
            none outside.
        set_name: of the new set in the dataset; the protocol's if not given.
        out: folder of the new set instead, anywhere.

    Raises:
        InputError: if a file is wrong or belongs to no case, an object is ambiguous, of no class, there twice, or does
            not fit the image, or the set is there already. Nothing is left half-written.
    """
    data = Dataset.open(dataset)
    target = place_of_new_set(data, set_name or protocol, out)
    cases = _nodes_of_cases([Path(path) for path in files], data, coordinates)
    with_object, objects = Counter[str](), Counter[str]()
    with new_set(data, target, protocol) as annotation_set:
        for case, nodes in track(list(cases.items()), "Importing"):
            points, boxes = objects_of_nodes(nodes, data.labels, protocol, data.read_grid(case), f"case {case}")
            annotation_set.write(case, CaseAnnotation(protocol, points, boxes))
            names = [item.class_name for item in points] + [box.class_name for box in boxes]
            objects.update(names)
            with_object.update(set(names))
    foreground = data.labels.foreground
    return PointImportSummary(
        target,
        tuple(cases),
        {name: with_object[name] for name in foreground},
        {name: objects[name] for name in foreground},
    )


def _nodes_of_cases(paths: Sequence[Path], data: Dataset, coordinates: str | None) -> dict[str, _Nodes]:
    files = [file for path in paths for file in _files_at(path)]
    if not files:
        raise InputError("There is nothing to import. Give .mrk.json, .fcsv or .csv files, or folders of them.")
    if coordinates is not None and coordinates not in ("RAS", "LPS"):
        raise InputError(f"--coordinates {coordinates}: expected RAS or LPS.")
    if coordinates is not None and not any(file.name.lower().endswith(_TABLE) for file in files):
        raise InputError(
            f"--coordinates {coordinates}: there is no {_TABLE} file, and Slicer's files say it themselves. "
            "Leave it out."
        )
    known = (*data.cases, *data.test_cases)
    found: dict[str, _Nodes] = defaultdict(list)
    for path in files:
        if path.name.lower().endswith(_TABLE):
            for case, lists in _read_table(path, known, data.labels, coordinates).items():
                found[case] += [(path, node) for node in lists]
        else:
            case, object_name = _case_and_object(path, known, data.labels)
            found[case] += [(path, node) for node in _read_nodes(path, object_name)]
    return dict(sorted(found.items()))


def _files_at(path: Path) -> list[Path]:
    suffixes = (*SUFFIXES, _TABLE)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Give files of points, or folders of them.")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.lower().endswith(suffixes))
        files = [file for file in files if not file.name.startswith(".")]
        if not files:
            raise InputError(f"{path}: no points in this folder; expected files ending in {', '.join(suffixes)}.")
        return files
    if not path.name.lower().endswith(suffixes):
        raise InputError(f"{path}: unknown kind of file; expected a name ending in {', '.join(suffixes)}.")
    return [path]


def _read_table(
    path: Path, known: Collection[str], labels: Labels, coordinates: str | None
) -> dict[str, list[PointList]]:
    if coordinates is None:
        raise InputError(
            f"{path}: a table does not say where its axes point to. Give --coordinates RAS (x to the patient's right, "
            "y to the front) or --coordinates LPS (x to the left, y to the back)."
        )
    cases = read_point_table(path, labels, ras_from(coordinates, path))
    unknown = next((case for case in cases if case not in known), None)
    if unknown is not None:
        raise InputError(
            f"{path}: the dataset has no case {unknown!r}, but {len(known)} others, for example {next(iter(known))}. "
            "Correct the name."
        )
    return cases


def _read_nodes(path: Path, object_name: str | None) -> list[PointList | Roi]:
    nodes = [node for node in read_markups(path) if isinstance(node, Roi) or node.labels]
    if not nodes:
        raise InputError(f"{path}: no point with a position. Place points, or leave out the file.")
    unnamed = node_stem(path)
    return [replace(node, name=object_name) if object_name and node.name == unnamed else node for node in nodes]


def _case_and_object(path: Path, known: Collection[str], labels: Labels) -> tuple[str, str | None]:
    """Case of a markups file, and what an object in it is called that has no name of its own."""
    by_name = _case_and_object_by_name(node_stem(path), known, labels)
    folder = path.absolute().parent.name
    if by_name is not None and folder in known and by_name[0] != folder:
        raise InputError(
            f"{path}: of case {folder} by its folder, and of case {by_name[0]} by its name. Rename one of the two."
        )
    if by_name is not None:
        return by_name
    if folder in known:
        return folder, None
    example = next(iter(known))
    raise InputError(
        f"{path}: belongs to no case of the dataset; expected a file in a folder that is called like a case, such as "
        f"{example}/{labels.foreground[0]}.mrk.json, or {example}_{labels.foreground[0]}.mrk.json. Move or rename it."
    )


def _case_and_object_by_name(stem: str, known: Collection[str], labels: Labels) -> tuple[str, str | None] | None:
    for case in sorted(known, key=len, reverse=True):
        if stem == case:
            return case, labels.foreground[0] if len(labels.foreground) == 1 else None
        object_name = stem[len(case) + 1 :]
        is_separated = stem.startswith(case) and stem[len(case)] in "_-. "
        if is_separated and parse_object_name(object_name)[0] in labels.foreground:
            return case, object_name
    return None
