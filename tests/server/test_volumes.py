"""Images as the page gets them: the same voxels at the same positions, in canonical order."""

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxseed.data.grids import Grid
from voxseed.data.volumes import Volume, canonical, read_as_stored
from voxseed.server import volumes
from voxseed.server.volumes import Volumes, canonical_box, canonical_grid, encode, thinned, window

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix() @ np.diag([-1.0, 1.5, 2.0])
OBLIQUE[:3, 3] = 10, -20, 5
AFFINES = {
    "ras": np.diag([1.0, 1.5, 2.0, 1]),
    "lps": np.diag([-1.0, -1.5, 2.0, 1]),
    "permuted": np.array([[0, 0, -2.0, 3], [1, 0, 0, 4], [0, 1.5, 0, 5], [0, 0, 0, 1]]),
    "oblique": OBLIQUE,
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_grid_and_parts_turn_as_the_volume_does(affine):
    array = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)
    turned = canonical(Volume(array, affine))
    grid = canonical_grid(Grid(array.shape, affine))
    assert grid.shape == turned.shape
    np.testing.assert_allclose(grid.affine, turned.affine)
    start, part = canonical_box((1, 2, 3), array[1:4, 2:6, 3:5], Grid(array.shape, affine))
    slices = tuple(slice(low, low + size) for low, size in zip(start, part.shape, strict=True))
    np.testing.assert_array_equal(part, turned.array[slices])


def test_the_channel_is_the_image_in_canonical_order(api, data, cubes):
    content = api.get("/api/cases/case_0/channels/0").content
    image = nib.Nifti1Image.from_bytes(content)
    expected = canonical(Volume(data.read_image("case_0").array[0], cubes.affine))
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected.array)
    np.testing.assert_allclose(image.affine, expected.affine)
    case = api.get("/api/cases/case_0").json()
    np.testing.assert_allclose(case["affine"], image.affine)
    assert case["shape"] == list(image.shape)


@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [
        ("bytes=0-351", 206, 0, 352),
        ("bytes=352-999", 206, 352, 1000),
        ("bytes=1000-999999", 206, 1000, None),
        ("bytes=0-999999", 200, 0, None),
        ("bytes=999999-1000000", 200, 0, None),
        ("bytes=9-2", 200, 0, None),
        ("bytes=-5", 200, 0, None),
        ("bytes=0-1,4-5", 200, 0, None),
    ],
)
def test_ranges_of_bytes(api, wanted, status, start, stop):
    address = "/api/cases/case_0/channels/0"
    whole = api.get(address).content
    answer = api.get(address, headers={"range": wanted})
    assert (answer.status_code, answer.content) == (status, whole[start:stop])
    expected = f"bytes {start}-{(stop or len(whole)) - 1}/{len(whole)}" if status == 206 else None
    assert answer.headers.get("content-range") == expected


@pytest.mark.parametrize(
    ("kept_bytes", "reads"),
    [
        (2**30, 2),
        (1, 3),  # less than a volume: the last one is kept, so that it is read once for all its parts
    ],
)
def test_a_volume_is_read_once_for_all_its_parts(workspace, monkeypatch, kept_bytes, reads):
    read = []
    monkeypatch.setattr(volumes, "read_as_stored", lambda path: read.append(path) or read_as_stored(path))
    monkeypatch.setattr(volumes, "COARSE_VOXELS", 10)
    kept = Volumes(workspace, kept_bytes)
    for case in ("case_0", "case_1", "case_0"):
        sizes = {coarse: len(kept.encoded(case, 0, coarse)) for coarse in (True, False, False, True, False)}
        assert sizes == {True: 352 + 4 * 10 * 9 * 6, False: 352 + 4 * 20 * 18 * 12}
    assert len(read) == reads


@pytest.mark.parametrize(("kind", "expected"), [("u1", "u1"), ("i2", "i2"), ("u2", "u2"), ("i4", "f4"), ("f4", "f4")])
def test_small_integers_stay(kind, expected):
    image = nib.Nifti1Image.from_bytes(encode(Volume(np.ones((2, 3, 4), kind), np.eye(4)), (0.0, 1.0)))
    assert image.get_data_dtype() == np.dtype(expected)
    assert (float(image.header["cal_min"]), float(image.header["cal_max"])) == (0, 1)


def test_window_is_robust_and_never_empty():
    values = np.arange(10_001, dtype=np.float32)
    assert window(values) == (50.0, 9950.0)
    assert window(np.full((3, 3, 3), 7)) == (7.0, 8.0)


def test_thinned_keeps_positions():
    volume = Volume(np.arange(10 * 4 * 3).reshape(10, 4, 3), AFFINES["oblique"])
    thin = thinned(volume, 4)
    assert thin.shape == (4, 4, 3)
    assert thin.array[2, 1, 1] == volume.array[6, 1, 1]
    np.testing.assert_allclose(thin.affine @ [2, 1, 1, 1], volume.affine @ [6, 1, 1, 1])
