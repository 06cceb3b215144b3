"""Planes of annotated slices, in volumes of any orientation."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxseed.data.planes import PLANES, annotated_planes, axis_across, require_one_or_two
from voxseed.errors import InputError

SHAPE = (20, 24, 15)
"""Along right, anterior, superior."""
TILT = np.array([[0.98, -0.17, 0.1], [0.17, 0.98, -0.05], [-0.09, 0.07, 0.99]])
ORIENTATIONS = [
    [[axis, flip] for axis, flip in zip(order, flips, strict=True)]
    for order in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def stored(array: np.ndarray, orientation: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """An upright array as a file of another orientation has it, on a tilted grid: the array and its affine."""
    upright = np.eye(4)
    upright[:3, :3] = TILT * [1.0, 1.5, 3.0]
    turned = nib.orientations.apply_orientation(array, orientation)
    return turned, upright @ nib.orientations.inv_ornt_aff(np.array(orientation), array.shape)


def slices_of(**planes: list[int]) -> np.ndarray:
    """Where the slices of an upright volume are."""
    annotated = np.zeros(SHAPE, dtype=bool)
    for plane, indices in planes.items():
        np.moveaxis(annotated, PLANES.index(plane), 0)[indices] = True
    return annotated


def upright_indices(found: dict[str, tuple[int, ...]], affine: np.ndarray) -> dict[str, list[int]]:
    """Indices that were found, as an upright volume counts them."""
    result = {}
    for plane, indices in found.items():
        axis = axis_across(plane, affine)
        is_flipped = nib.orientations.io_orientation(affine)[axis, 1] < 0
        size = SHAPE[PLANES.index(plane)]
        result[plane] = sorted(size - 1 - index if is_flipped else index for index in indices)
    return result


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_planes_are_the_patients_in_every_orientation(orientation):
    annotated, affine = stored(slices_of(axial=[2, 7, 12], coronal=[4, 14]), orientation)
    found = annotated_planes(annotated, affine)
    assert list(found) == ["coronal", "axial"]
    assert upright_indices(found, affine) == {"axial": [2, 7, 12], "coronal": [4, 14]}


@given(st.data())
def test_slices_are_found_however_many_there_are(data):
    first, second = data.draw(st.permutations(PLANES))[:2]
    chosen = {}
    for plane in (first, second):
        size = SHAPE[PLANES.index(plane)]
        chosen[plane] = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size // 2 - 1)))
    annotated, affine = stored(slices_of(**chosen), data.draw(st.sampled_from(ORIENTATIONS)))
    assert upright_indices(annotated_planes(annotated, affine), affine) == chosen


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("indices", [[5], [5, 6, 7], [0, 14]])
def test_one_plane(plane, indices):
    assert annotated_planes(slices_of(**{plane: indices}), np.eye(4)) == {plane: tuple(indices)}


def test_what_lies_outside_the_body_may_be_left_out_and_strokes_are_no_plane():
    annotated = slices_of(axial=[3, 9], coronal=[10])
    i, j, _ = np.indices(SHAPE)
    annotated &= ((i - 9.5) / 10) ** 2 + ((j - 11.5) / 12) ** 2 <= 1  # an ellipse, 0.79 of an axial slice
    annotated[5, 2:20, 5] = True
    assert annotated_planes(annotated, np.eye(4)) == {"coronal": (10,), "axial": (3, 9)}


def test_less_than_half_of_a_slice_is_no_slice():
    annotated = np.zeros(SHAPE, dtype=bool)
    annotated[:, :11, 4] = True
    assert annotated_planes(annotated, np.eye(4)) == {}
    annotated[:, 11, 4] = True
    assert annotated_planes(annotated, np.eye(4)) == {"axial": (4,)}


def test_one_plane_and_two_are_fine():
    require_one_or_two({"axial": (1,)}, "case a")
    require_one_or_two({"axial": (1,), "coronal": (2, 3)}, "case a")


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({}, "case a: found no annotated slice; in a slice, at least half .* Paint whole slices"),
        (
            {"sagittal": (1,), "coronal": (2, 3), "axial": (4,)},
            r"case a: found annotated slices in three planes \(1 sagittal, 2 coronal, 1 axial\), expected one or two",
        ),
    ],
)
def test_no_plane_or_three_are_a_sentence(found, sentence):
    with pytest.raises(InputError, match=sentence):
        require_one_or_two(found, "case a")
