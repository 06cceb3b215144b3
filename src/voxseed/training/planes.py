"""Planes of annotated slices that all cases of a job share."""

from collections.abc import Mapping

import numpy as np

from voxseed.data.annotation_sets import AnnotationSet
from voxseed.data.planes import PLANES, Plane, annotated_planes, require_alike, require_one_or_two
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.job import Job
from voxseed.training.starts import Start


def planes_of(job: Job) -> tuple[Plane, ...]:
    """Planes in which slices of every training case are annotated: one or two; none if no method asks for slices.

    Raises:
        InputError: if a case has no painted map, one that is annotated everywhere, or slices in no plane, in three, or
            in other planes than the first case.
    """
    if job.kind is not SupervisionKind.SLICES or job.annotations is None:
        return ()
    planes = {case: _planes_of_case(job.annotations, case) for case in job.train_cases}
    require_alike(planes, str(job.annotations.path))
    return planes[job.train_cases[0]]


def require_same_planes(starts: Mapping[str, Start], planes: tuple[Plane, ...]) -> None:
    """Check that a network that reads the slices of a plane starts from one that read those of the same plane.

    Raises:
        InputError: if it does not, or the plane has no annotated slices.
    """
    for member, start in starts.items():
        if member not in PLANES:
            continue
        if member not in planes:
            raise InputError(f"--from {member}=...: no {member} slices are annotated, but {' and '.join(planes)} ones.")
        if start.arguments.get("axis") != PLANES.index(member):
            raise InputError(
                f"--from {member}=...: expected a network that reads {member} slices, found "
                f"{start.arguments['architecture']} with axis = {start.arguments.get('axis')}."
            )


def _planes_of_case(annotations: AnnotationSet, case: str) -> tuple[Plane, ...]:
    origin = f"{annotations.path}: case {case}"
    painted = annotations.read(case).painted
    if painted is None:
        raise InputError(f"{origin}: expected a painted map with annotated slices, found none. Paint some slices.")
    annotated = _annotated(painted, annotations)
    if annotated.all():
        raise InputError(f"{origin}: every voxel is annotated, not some slices. Train with --method partial or full.")
    found = annotated_planes(annotated, painted.affine)
    require_one_or_two(found, origin)
    return tuple(found)


def _annotated(painted: Volume, annotations: AnnotationSet) -> np.ndarray:
    annotated: np.ndarray = painted.array != annotations.labels.next_ignore_value
    return annotated
