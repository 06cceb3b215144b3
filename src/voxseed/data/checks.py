"""Checking a dataset: everything that is wrong with it, found in one pass, and what there is."""

from collections import Counter
from pathlib import Path
from typing import TypeVar

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.case_files import list_labels
from voxseed.data.datasets import Dataset, how_to_annotate, scan
from voxseed.data.findings import DatasetCheck, DatasetSummary, Findings, SetSummary, Severity
from voxseed.data.grids import Grid, require_same_grid
from voxseed.data.labels import Labels
from voxseed.data.planes import SLICES, Plane, annotated_planes, require_alike, require_one_or_two
from voxseed.data.volumes import Volume, read_label, read_volume, require_finite
from voxseed.errors import InputError
from voxseed.progress import track
from voxseed.types import BACKGROUND

T = TypeVar("T", int, float)


def check_dataset(path: str | Path) -> DatasetCheck:
    """Read every image, label and annotation of a dataset; one problem does not hide the next."""
    findings = Findings()
    try:
        dataset, problems = scan(path)
    except InputError as error:
        findings.add(Severity.ERROR, str(path), str(error))
        return DatasetCheck(tuple(findings), None)
    for problem in problems:
        findings.add(Severity.ERROR, dataset.name, problem)
    grids: list[Grid] = []
    label_classes: list[set[str]] = []
    for case in track((*dataset.cases, *dataset.test_cases), "Checking cases"):
        grid = _check_image(dataset, case, findings)
        classes = _check_label(dataset, case, grid, findings)
        grids += [] if grid is None else [grid]
        label_classes += [] if classes is None else [classes]
    _check_labels_without_image(dataset, findings)
    with findings.errors_of("splits"):
        dataset.splits()
    sets = [check_annotation_set(dataset, name, findings) for name in dataset.annotation_sets()]
    _check_supervision(dataset, label_classes, findings)
    return DatasetCheck(tuple(findings), _summary(dataset, grids, label_classes, sets))


def check_annotation_set(dataset: Dataset, name_or_path: str | Path, findings: Findings) -> SetSummary | None:
    """Read every annotation of a set.

    Args:
        dataset: what is annotated.
        name_or_path: as `Dataset.annotations` takes it.
        findings: gets what is found.

    Returns:
        None if the set cannot be opened.
    """
    name = Path(name_or_path).name
    with findings.errors_of(name):
        annotation_set = dataset.annotations(name_or_path)
        classes: list[set[str]] = []
        planes: dict[str, tuple[Plane, ...]] = {}
        for case in track(annotation_set.cases, f"Checking annotations {name}"):
            if case not in dataset.cases and case not in dataset.test_cases:
                message = f"the dataset has no case {case}. Rename the annotation, or add the image."
                findings.add(Severity.ERROR, f"{name}/{case}", message)
                continue
            with findings.errors_of(f"{name}/{case}"):
                annotation = annotation_set.read(case)
                classes.append(annotation_set.annotated_classes(annotation))
                _check_background(annotation, f"{name}/{case}", findings)
                _check_unmentioned(annotation, dataset.labels, f"{name}/{case}", findings)
                if annotation.protocol == SLICES and annotation.painted is not None:
                    annotated = annotation.painted.array != annotation_set.labels.next_ignore_value
                    found = annotated_planes(annotated, annotation.painted.affine)
                    require_one_or_two(found, f"{name}/{case}")
                    planes[case] = tuple(found)
        with findings.errors_of(name):
            require_alike(planes, name)
        class_cases = _class_cases(dataset, classes)
        for class_name, count in class_cases.items():
            if count == 0:
                message = (
                    f"nobody annotated the class {class_name} in the {len(classes)} cases that could be read. "
                    "Annotate it, or remove it from dataset.json."
                )
                findings.add(Severity.ERROR, name, message)
        return SetSummary(name, annotation_set.protocol, len(classes), class_cases)
    return None


def _check_image(dataset: Dataset, case: str, findings: Findings) -> Grid | None:
    """Check each channel; the grid of the first that can be read."""
    readable: list[tuple[Path, Volume]] = []
    for path in dataset.image_paths(case):
        if not path.is_file():  # found with the names already
            continue
        with findings.errors_of(case):
            channel = read_volume(path)
            readable.append((path, channel))
            require_finite(channel, path)
            if channel.array.min() == channel.array.max():
                message = f"{path}: a constant image, every voxel is {channel.array.flat[0]:g}. Export it again."
                findings.add(Severity.ERROR, case, message)
    for path, channel in readable[1:]:
        with findings.errors_of(case):
            require_same_grid(channel, path, readable[0][1], readable[0][0])
    return Grid(readable[0][1].shape, readable[0][1].affine) if readable else None


def _check_label(dataset: Dataset, case: str, grid: Grid | None, findings: Findings) -> set[str] | None:
    """Check the dense label; its foreground classes, None if there is no label or it cannot be read."""
    path = dataset.label_path(case)
    if not path.is_file():
        return None
    with findings.errors_of(case):
        label = read_label(path)
        with findings.errors_of(case):
            dataset.labels.require_known(label.array, str(path))
        with findings.errors_of(case):
            if grid is not None:
                require_same_grid(label, path, grid, dataset.image_paths(case)[0])
        return dataset.labels.classes_in(label.array)
    return None


def _check_labels_without_image(dataset: Dataset, findings: Findings) -> None:
    for part, cases in (("Tr", dataset.cases), ("Ts", dataset.test_cases)):
        folder = dataset.root / f"labels{part}"
        for case in sorted({*list_labels(folder, dataset.file_ending).cases} - {*cases}):
            message = f"{folder / case}{dataset.file_ending}: a label without an image in images{part}. Add the image."
            findings.add(Severity.WARNING, case, message)


def _check_background(annotation: CaseAnnotation, where: str, findings: Findings) -> None:
    painted = annotation.painted
    if painted is not None and not (painted.array == BACKGROUND).any():
        message = "no voxel is annotated as background; what is not the object is hard to learn. Paint some background."
        findings.add(Severity.WARNING, where, message)


def _check_unmentioned(annotation: CaseAnnotation, labels: Labels, where: str, findings: Findings) -> None:
    unmentioned = annotation.unmentioned(labels.foreground)
    if unmentioned and (annotation.points or annotation.boxes):
        message = (
            f"nothing says where {unmentioned[0]} is, so nothing but what is painted teaches background. "
            "Annotate it, or list it as absent in annotations.json."
        )
        findings.add(Severity.WARNING, where, message)


def _check_supervision(dataset: Dataset, label_classes: list[set[str]], findings: Findings) -> None:
    if not label_classes and not dataset.annotation_sets():
        message = (
            f"{dataset.root}: neither annotation sets nor dense labels, nothing to train on. "
            f"{how_to_annotate(dataset.root)}."
        )
        findings.add(Severity.WARNING, dataset.name, message)
    for class_name, count in _class_cases(dataset, label_classes).items():
        if label_classes and count == 0:
            message = f"the class {class_name} occurs in no dense label. Remove it from dataset.json, or add cases."
            findings.add(Severity.WARNING, dataset.name, message)


def _class_cases(dataset: Dataset, classes: list[set[str]]) -> dict[str, int]:
    """In how many cases each foreground class occurs."""
    counts = Counter(name for case_classes in classes for name in case_classes)
    return {name: counts[name] for name in dataset.labels.foreground}


def _summary(
    dataset: Dataset, grids: list[Grid], label_classes: list[set[str]], sets: list[SetSummary | None]
) -> DatasetSummary:
    return DatasetSummary(
        name=dataset.name,
        channel_names=dataset.channel_names,
        case_count=len(dataset.cases),
        test_case_count=len(dataset.test_cases),
        label_count=len(label_classes),
        label_class_cases=_class_cases(dataset, label_classes),
        shape_range=_range([grid.shape for grid in grids]),
        spacing_range_mm=_range([grid.spacing_mm for grid in grids]),
        annotation_sets=tuple(summary for summary in sets if summary is not None),
    )


def _range(triples: list[tuple[T, T, T]]) -> tuple[tuple[T, T, T], tuple[T, T, T]] | None:
    """Smallest and largest along each axis."""
    if not triples:
        return None
    i, j, k = zip(*triples, strict=True)
    return (min(i), min(j), min(k)), (max(i), max(j), max(k))
