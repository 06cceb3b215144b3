"""Which cases of an annotation set there is an image to train on for."""

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
