"""Which cases of an annotation set there is an image to train on for, and whether they teach every class."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.datasets import Dataset
from voxseed.errors import InputError


class Teaching(Enum):
    """What of an annotation a method learns a class from."""

    VOXELS = auto()
    """Points and painted voxels."""
    OBJECTS = auto()
    """Objects with a box around them: points of which some lie outside, or boxes."""
    ANYTHING = auto()
    """Points, boxes and painted voxels."""


_NOTHING: Final = {
    Teaching.VOXELS: "no point and no painted voxel",
    Teaching.OBJECTS: "no outside points and no box",
    Teaching.ANYTHING: "no point, no box and no painted voxel",
}


def annotated_cases(data: Dataset, annotation_set: AnnotationSet) -> tuple[str, ...]:
    """Annotated cases of imagesTr; those of imagesTs are left out.

    Raises:
        InputError: if a case is annotated that the dataset does not have, because its annotation would be lost.
    """
    unknown = [case for case in annotation_set.cases if case not in data.cases and case not in data.test_cases]
    if unknown:
        raise InputError(
            f"{annotation_set.path}: case {unknown[0]!r} is annotated, but {data.root} has no image of it. "
            "Add the image, or rename or remove the annotation."
        )
    return tuple(case for case in annotation_set.cases if case in data.cases)


def require_every_class(
    data: Dataset, annotation_set: AnnotationSet | None, cases: Sequence[str], teaching: Teaching = Teaching.VOXELS
) -> None:
    """Check that each class can be learned from some case; reads no more cases than it takes to see that.

    A box says where an object is not, so boxes alone teach no class, unless the method learns from boxes.

    Args:
        annotation_set: to learn from; None for dense labels.
        cases: to train on.
        teaching: what of an annotation the method learns from.

    Raises:
        InputError: if a class has nothing to learn from in any of them.
    """
    missing = set(data.labels.foreground)
    for case in cases:
        missing -= _labelled(data, case) if annotation_set is None else _taught(annotation_set, case, teaching)
        if not missing:
            return
    name = next(name for name in data.labels.foreground if name in missing)
    where, what = (
        (data.root / "labelsTr", "no voxel") if annotation_set is None else (annotation_set.path, _NOTHING[teaching])
    )
    hint = ""
    if annotation_set is not None and teaching is Teaching.VOXELS:
        boxed = any(name in _taught(annotation_set, case, Teaching.OBJECTS) for case in cases)
        hint = "learn from its boxes with --method pw4medseg, dtp, deepcut or size-loss, " if boxed else ""
    raise InputError(
        f"{where}: the class {name!r} has {what} in the {len(cases)} cases to train on. "
        f"Annotate it in one of them, {hint}or remove it from dataset.json."
    )


def _labelled(data: Dataset, case: str) -> set[str]:
    """Classes in a dense label."""
    label = data.read_label(case)
    return set() if label is None else data.labels.classes_in(label.array)


def _taught(annotation_set: AnnotationSet, case: str, teaching: Teaching) -> set[str]:
    """Classes that the annotation of a case teaches."""
    annotation = annotation_set.read(case)
    boxed = {box.class_name for box in annotation.boxes}
    if teaching is Teaching.OBJECTS:
        return boxed | {points.class_name for points in annotation.points if len(points.outside_mm)}
    painted = set() if annotation.painted is None else annotation_set.labels.classes_in(annotation.painted.array)
    marked = painted | {points.class_name for points in annotation.points}
    return marked | boxed if teaching is Teaching.ANYTHING else marked
