"""Painted maps: slices in canonical order, files on the image's own voxels."""

import gzip

import numpy as np
import pytest

from voxseed.data.volumes import read_label

CASE = "/api/cases/case_0"


def paint(api, *slices):
    message = {"slices": [{"axis": axis, "index": index, "runs": runs} for axis, index, runs in slices]}
    return api.patch(f"{CASE}/painted", json=message)


def painted(api, shape):
    answer = api.get(f"{CASE}/painted")
    content = answer.content if len(answer.content) == np.prod(shape) else gzip.decompress(answer.content)
    return np.frombuffer(content, np.uint8).reshape(shape, order="F")


def test_runs_are_voxels_of_a_slice_the_lower_axis_fastest(api, workspace, data, cubes):
    """The file's first two axes run against the canonical ones: voxel (i, j) there is (19 - i, 17 - j) here."""
    assert paint(api, (2, 3, [[0, 2, 1], [20, 1, 2]]), (0, 5, [[18 * 4 + 7, 1, 0]])).json() == {"state": "in progress"}
    expected = np.full(cubes.shape, 3)  # ignore is one above the two classes
    expected[19, 17, 3] = expected[18, 17, 3] = 1
    expected[19, 16, 3] = 2
    expected[14, 10, 4] = 0
    np.testing.assert_array_equal(read_label(workspace.painted_path("case_0")).array, expected)
    np.testing.assert_array_equal(data.annotations("page").read("case_0").painted.array, expected)
    canonical = np.where(expected == 3, 255, expected)[::-1, ::-1]
    np.testing.assert_array_equal(painted(api, cubes.shape), canonical)


def test_what_nobody_painted_is_not_sent(api):
    assert (api.get(f"{CASE}/painted").status_code, api.get(f"{CASE}/painted").content) == (204, b"")


def test_erasing_everything_removes_the_file(api, workspace):
    paint(api, (1, 0, [[0, 5, 1]]))
    assert paint(api, (1, 0, [[0, 5, 255]])).json() == {"state": "unannotated"}
    assert not workspace.painted_path("case_0").exists()


def test_all_or_none(api, workspace):
    assert paint(api, (2, 3, [[0, 2, 1]]), (2, 12, [[0, 1, 1]])).status_code == 422
    assert not workspace.painted_path("case_0").exists()


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ((2, 12, [[0, 1, 1]]), "Slice 12 of axis 2: a map of shape (20, 18, 12) has none."),
        ((2, 0, [[359, 2, 1]]), "Voxels 359 to 361 of a slice: it has 360."),
        ((2, 0, [[-1, 1, 1]]), "Voxels -1 to 0 of a slice: it has 360."),
        ((2, 0, [[0, 0, 1]]), "Voxels 0 to 0 of a slice: it has 360."),
        ((2, 0, [[0, 1, 3]]), "Class index 3: expected 0 to 2, or 255 for unannotated."),
    ],
)
def test_what_is_none_of_the_map_is_refused(api, edit, sentence):
    answer = paint(api, edit)
    assert answer.status_code == 422
    assert answer.json()["detail"] == sentence


def test_a_map_that_is_there_is_read_whatever_its_ending(api, workspace, data, cubes):
    from voxseed.data.volumes import Volume, write_volume

    array = np.full(cubes.shape, 3, np.uint8)
    array[1, 2, 3] = 2
    write_volume(workspace.path / "case_0.nii", Volume(array, cubes.affine))
    assert painted(api, cubes.shape)[18, 15, 3] == 2
    paint(api, (2, 0, [[0, 1, 1]]))
    assert sorted(path.name for path in workspace.path.glob("case_0*")) == ["case_0.nii.gz"]
    assert data.annotations("page").read("case_0").painted.array[1, 2, 3] == 2


def test_between_two_squares_lies_their_mean(api):
    """3 × 3 voxels in slice 2 and 7 × 7 in slice 6, one centre: 5 × 5 in slice 4; painted voxels keep their value."""

    def square(half):
        return [[9 - half + 20 * (8 + row), 2 * half + 1, 1] for row in range(-half, half + 1)]

    paint(api, (2, 2, square(1)), (2, 6, square(3)), (2, 4, [[9 + 20 * 8, 1, 0]]))
    slices = api.post(f"{CASE}/painted/between", json={"axis": 2, "class_index": 1}).json()["slices"]
    assert [each["index"] for each in slices] == [3, 4, 5]
    filled = np.full(360, 255)
    for start, length, value in slices[1]["runs"]:
        filled[start : start + length] = value
    expected = np.full((20, 18), 255)
    expected[7:12, 6:11] = 1
    expected[9, 8] = 255
    np.testing.assert_array_equal(filled.reshape((20, 18), order="F"), expected)
    assert api.post(f"{CASE}/painted/between", json={"axis": 2, "class_index": 2}).json() == {"slices": []}
