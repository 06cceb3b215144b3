"""Probability from boxes and from growth, by hand."""

import numpy as np
import pytest

from voxseed.data.annotations import ObjectBox
from voxseed.supervision.box_maps import box_map, growth_map
from voxseed.supervision.boxes import VoxelBox, box_of_object

WHOLE = VoxelBox((0, 0, 0), (12, 12, 12))


def box(axes=None, size=(4.0, 6.0, 8.0), center=(5.0, 5.0, 5.0)) -> ObjectBox:
    return ObjectBox("a", 1, np.array(center), np.eye(3) if axes is None else np.array(axes), np.array(size))


@pytest.mark.parametrize(
    ("voxel", "expected"),
    [
        ((5, 5, 5), 1.0),
        ((6, 5, 5), 0.75),  # half-way to a face: 1 - 0.5^2
        ((6, 5, 7), 0.5),  # half-way to two faces: 1 - (0.25 + 0.25)
        ((7, 5, 5), 0.0),  # on the face
        ((5, 8, 5), 0.0),
        ((6, 7, 8), 0.0),  # beyond the ellipsoid: 0.25 + 0.444 + 0.5625
        ((0, 0, 0), 0.0),
    ],
)
def test_it_falls_from_the_centre_to_the_faces(voxel, expected):
    assert box_map(box(), WHOLE, np.eye(4), exponent=2)[voxel] == pytest.approx(expected, abs=1e-6)


def test_a_larger_exponent_is_steeper_at_the_faces():
    assert box_map(box(), WHOLE, np.eye(4), exponent=4)[6, 5, 5] == pytest.approx(1 - 0.5**4)


def test_the_box_may_be_turned_and_the_image_flipped_and_anisotropic():
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    affine[0, 3] = 10
    turned = box(axes=[[0, -1, 0], [1, 0, 0], [0, 0, 1]], size=(6.0, 4.0, 8.0), center=(5.0, 5.0, 10.0))
    found = box_map(turned, WHOLE, affine, exponent=2)  # the first axis of the box is the second of the image
    assert found[5, 5, 5] == pytest.approx(1)
    assert found[4, 5, 5] == found[6, 5, 5] == pytest.approx(0.75)
    assert found[5, 6, 5] == pytest.approx(1 - 1 / 9)
    assert found[5, 5, 6] == pytest.approx(0.75)


def test_a_part_is_cut_out_of_the_whole():
    region = box_of_object(box(), np.eye(4), (12, 12, 12))
    whole, part = (box_map(box(), each, np.eye(4), 3.0) for each in (WHOLE, region))
    np.testing.assert_allclose(part, whole[region.slices])
    assert part.sum() == pytest.approx(whole.sum())


def test_growth_is_one_half_at_the_even_ratio_and_where_nobody_knows():
    ratio = np.array([0, 0.3, 0.6, 0.8, 1, np.nan], np.float32)
    np.testing.assert_allclose(growth_map(ratio, 0.6), [1, 0.75, 0.5, 0.25, 0, 0.5], atol=1e-6)
