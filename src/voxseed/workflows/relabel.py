"""Relabel: classes of a dataset renamed or added, in dataset.json and in everything that is in its labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from voxseed.data.case_files import list_labels
from voxseed.data.dataset_json import FILE_NAME
from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.markups import object_name, parse_object_name, read_markups, rename_nodes
from voxseed.data.object_files import markups_files
from voxseed.data.relabelling import added_by, changed_table, changed_values, value_changes
from voxseed.data.replacing import Replacement, finish, replacing
from voxseed.data.set_description import DESCRIPTION_NAME, SetDescription, load_set_description, same_table
from voxseed.data.volumes import Volume, read_label, suffix_of, write_volume
from voxseed.errors import InputError
from voxseed.files import read_json_object, write_json
from voxseed.progress import track


@dataclass(frozen=True)
class RelabelSummary:
    """What was changed.

    Attributes:
        labels: the table after the change.
        changed: "dataset", "dense labels", or an annotation set → how many files were rewritten.
        finished: whether an earlier change that had been stopped was completed first.
    """

    labels: Labels
    changed: Mapping[str, int]
    finished: bool

    def header(self) -> tuple[str, ...]:
        """Names of the columns of `rows`."""
        return ("what", "files changed")

    def rows(self) -> list[tuple[str, int]]:
        """One row per part of the dataset."""
        return list(self.changed.items())


def relabel(
    dataset: str | Path,
    rename: Mapping[str, str] | None = None,
    add: Sequence[str] = (),
    *,
    labels: Sequence[str] | None = None,
    annotations: Sequence[str | Path] = (),
) -> RelabelSummary:
    """Rename and add classes in dataset.json, dense labels, annotation sets, and the markups in them.

    Renamed classes keep their values; added ones get the next. If `ignore` moves up, maps that hold it are rewritten.
    Annotation sets whose labels table is not dataset.json's, because that was edited, are brought up to date. All new
    files are written before any takes its place. If the last step is stopped, the same command finishes it.

    Args:
        dataset: folder in the nnU-Net raw layout.
        rename: old name → new name.
        add: names of new classes.
        labels: all names after the change, instead of `add`.
        annotations: folders of annotation sets outside the dataset.

    Raises:
        InputError: if a name is wrong, a file cannot be read or written, or a set has a class that the dataset lacks.
            Then nothing has changed.
    """
    root, renames = Path(dataset), dict(rename or {})
    request = {
        "rename": renames,
        "add": list(add),
        "labels": None if labels is None else list(labels),
        "annotations": [str(Path(folder).absolute()) for folder in annotations],
    }
    done = finish(root)
    data = Dataset.open(root)
    folders = [data.root / "annotations" / name for name in data.annotation_sets()] + [*map(Path, annotations)]
    if done == request:
        return RelabelSummary(data.labels, {}, True)
    added = [*add, *(added_by(labels, data.labels, renames) if labels is not None else ())]
    after = changed_table(data.labels, renames, added)
    with replacing(data.root, request) as replacement:
        changed = {"dense labels": _stage_labels(data, after, renames, replacement)}
        for folder in folders:
            changed[f"annotations {folder.name}"] = _AnnotationChange(data, folder, after, renames).stage(replacement)
        changed["dataset"] = _stage_description(data, after, replacement)  # the last to be moved
    return RelabelSummary(after, changed, done is not None)


def _stage_labels(data: Dataset, after: Labels, renames: Mapping[str, str], replacement: Replacement) -> int:
    if data.labels.ignore_value is None:  # no value changes
        return 0
    paths = [
        data.root / folder / f"{case}{data.file_ending}"
        for folder in ("labelsTr", "labelsTs")
        for case in list_labels(data.root / folder, data.file_ending).cases
    ]
    return _stage_maps(paths, data.labels, value_changes(data.labels, after, renames), replacement)


def _stage_maps(paths: Sequence[Path], labels: Labels, changes: Mapping[int, int], replacement: Replacement) -> int:
    if all(old == new for old, new in changes.items()):
        return 0
    count = 0
    for path in track(paths, "Rewriting maps"):
        label = read_label(path)
        labels.with_ignore().require_known(label.array, str(path))
        array = changed_values(label.array, changes)
        if not np.array_equal(array, label.array):
            write_volume(replacement.stage(path), Volume(array, label.affine))
            count += 1
    return count


def _stage_description(data: Dataset, after: Labels, replacement: Replacement) -> int:
    if dict(after) == dict(data.labels):
        return 0
    path = data.root / FILE_NAME
    content = {**read_json_object(path), "labels": dict(after)}
    write_json(replacement.stage(path), content)
    return 1


class _AnnotationChange:
    """What becomes of one annotation set."""

    def __init__(self, data: Dataset, folder: Path, after: Labels, renames: Mapping[str, str]) -> None:
        self._folder = folder
        self._description = load_set_description(folder, data.labels)
        self._after = after
        is_changed = same_table(self._description.labels, after)
        # In a set that has the new table, a new name may be an old one of another class.
        self._renames = {old: new for old, new in renames.items() if not (is_changed and old in after)}
        _require_all_classes(self._description.labels, after, self._renames, folder / DESCRIPTION_NAME)

    def stage(self, replacement: Replacement) -> int:
        """Stage new versions of maps, markups and, last, annotations.json; how many."""
        before = self._description.labels
        maps = [path for path in sorted(self._folder.iterdir()) if _is_map(path)]
        count = _stage_maps(maps, before, value_changes(before, self._after, self._renames), replacement)
        for case in sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
            count += sum(self._stage_markups(path, replacement) for path in markups_files(case))
        description = self._changed_description()
        if description != self._description and (self._folder / DESCRIPTION_NAME).is_file():
            description.write(replacement.stage(self._folder / DESCRIPTION_NAME).parent)
            count += 1
        return count

    def _stage_markups(self, path: Path, replacement: Replacement) -> bool:
        if all(self._new_name(node.name) == node.name for node in read_markups(path)):
            return False
        target = path if path.name.lower().endswith(".json") else path.with_name(f"{path.name}.mrk.json")
        if target != path:
            replacement.remove(path)  # an old file's name is its class
        rename_nodes(path, self._new_name, replacement.stage(target))
        return True

    def _new_name(self, name: str) -> str:
        class_name, number = parse_object_name(name)
        return object_name(self._renames.get(class_name, class_name), number)

    def _changed_description(self) -> SetDescription:
        found = self._description
        labels = self._after.without_ignore() if found.labels.ignore_value is None else self._after.with_ignore()
        absent = {case: self._all_renamed(names) for case, names in found.absent.items()}
        return replace(found, labels=labels, absent=absent)

    def _all_renamed(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(self._renames.get(name, name) for name in names)


def _require_all_classes(before: Labels, after: Labels, renames: Mapping[str, str], path: Path) -> None:
    lost = next((name for name in before.foreground if renames.get(name, name) not in after), None)
    if lost is not None:
        raise InputError(
            f"{path}: annotations of the class {lost!r}, which is not in the labels {dict(after)}. "
            f"Say what it is called now: --rename {lost}=NEW."
        )


def _is_map(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and suffix_of(path) is not None
