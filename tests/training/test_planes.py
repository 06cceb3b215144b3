"""Planes that all cases of a job share."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.labels import Labels
from voxseed.data.normalisation import Normalisation
from voxseed.data.preprocessing import Preprocessing
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.supervision.kinds import SupervisionKind
from voxseed.training.planes import planes_of, require_same_planes
from voxseed.training.starts import Start

LABELS = Labels({"background": 0, "ball": 1, "ignore": 2})
GRID = Preprocessing(channel_names=("MRI",), spacing_mm=(1, 1, 1), normalisations=(Normalisation(kind="zscore"),))
UPRIGHT = np.eye(4)
SIDEWAYS = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])  # axes run S, A, R


def painted(axes: tuple[int, ...], affine: np.ndarray = UPRIGHT) -> CaseAnnotation:
    array = np.full((9, 10, 11), 2, np.uint8)
    for axis in axes:
        np.moveaxis(array, axis, 0)[[2, 6]] = 0
    return CaseAnnotation("slices", painted=Volume(array, affine))


def job(cases: dict[str, CaseAnnotation], kind: SupervisionKind = SupervisionKind.SLICES) -> SimpleNamespace:
    annotations = SimpleNamespace(path=Path("set"), labels=LABELS, read=cases.__getitem__)
    return SimpleNamespace(kind=kind, annotations=annotations, train_cases=tuple(cases))


@pytest.mark.parametrize(
    ("axes", "expected"), [((1, 2), ("coronal", "axial")), ((2,), ("axial",)), ((0,), ("sagittal",))]
)
def test_cases_share_planes_whatever_their_orientation(axes, expected):
    sideways = tuple({0: 2, 1: 1, 2: 0}[axis] for axis in axes)
    cases = {"a": painted(axes), "b": painted(sideways, SIDEWAYS), "c": painted(axes)}
    assert planes_of(job(cases)) == expected


def test_methods_that_need_no_slices_have_no_planes():
    assert planes_of(job({"a": painted((1, 2))}, SupervisionKind.PARTIAL)) == ()


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (
            painted((2,)),
            "set: case a is annotated in coronal and axial slices, case b in axial slices. Annotate the same",
        ),
        (painted(()), "set: case b: found no annotated slice"),
        (painted((0, 1, 2)), r"set: case b: found annotated slices in three planes \(2 sagittal, 2 coronal, 2 axial\)"),
        (CaseAnnotation("points"), "set: case b: expected a painted map with annotated slices, found none"),
        (
            CaseAnnotation("dense", painted=Volume(np.zeros((4, 4, 4), np.uint8), UPRIGHT)),
            "set: case b: every voxel is annotated, not some slices",
        ),
    ],
)
def test_what_is_no_such_annotation_is_a_sentence(other, sentence):
    with pytest.raises(InputError, match=sentence):
        planes_of(job({"a": painted((1, 2)), "b": other}))


@pytest.mark.parametrize(
    ("member", "axis", "sentence"),
    [
        ("sagittal", 0, "--from sagittal=...: no sagittal slices are annotated, but coronal and axial ones"),
        ("axial", 1, "--from axial=...: expected a network that reads axial slices, found unet2d with axis = 1"),
    ],
)
def test_a_network_starts_from_one_of_its_own_plane(member, axis, sentence):
    start = Start({"architecture": "unet2d", "axis": axis}, {}, GRID)
    with pytest.raises(InputError, match=sentence):
        require_same_planes({member: start}, ("coronal", "axial"))
    require_same_planes({"coronal": Start({"axis": 1}, {}, GRID), "primary": Start({}, {}, GRID)}, ("coronal", "axial"))
