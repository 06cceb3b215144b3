"""Which cases of an annotation set there is an image to train on for, and whether they teach every class."""

from collections.abc import Sequence

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.datasets import Dataset
from voxseed.errors import InputError


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
    data: Dataset, annotation_set: AnnotationSet | None, cases: Sequence[str], boxes_teach: bool = False
) -> None:
    """Check that each class can be learned from some case; reads no more cases than it takes to see that.

    A box says where an object is not, so boxes alone teach no class, unless they become probability maps.

    Args:
        annotation_set: to learn from; None for dense labels.
        cases: to train on.
        boxes_teach: whether a box is enough.

    Raises:
        InputError: if a class has no point and no voxel in any of them.
    """
    missing = set(data.labels.foreground)
    for case in cases:
        missing -= _labelled(data, case) if annotation_set is None else _marked(annotation_set, case, boxes_teach)
        if not missing:
            return
    name = next(name for name in data.labels.foreground if name in missing)
    where, what = (
        (data.root / "labelsTr", "no voxel")
        if annotation_set is None
        else (annotation_set.path, "no point and no painted voxel")
    )
    raise InputError(
        f"{where}: the class {name!r} has {what} in the {len(cases)} cases to train on. "
        "Annotate it in one of them, or remove it from dataset.json."
    )


def _labelled(data: Dataset, case: str) -> set[str]:
    """Classes in a dense label."""
    label = data.read_label(case)
    return set() if label is None else data.labels.classes_in(label.array)


def _marked(annotation_set: AnnotationSet, case: str, boxes_teach: bool) -> set[str]:
    """Classes of which an annotation marks a voxel, or has a box where that is enough."""
    annotation = annotation_set.read(case)
    if boxes_teach:
        return annotation_set.annotated_classes(annotation)
    painted = set() if annotation.painted is None else annotation_set.labels.classes_in(annotation.painted.array)
    return painted | {points.class_name for points in annotation.points}
