"""Boxes of voxels: from outside points and from oriented boxes."""

import numpy as np
import pytest

from voxseed.data.annotations import ObjectBox
from voxseed.supervision.boxes import VoxelBox, box_of_object, box_of_points

SHAPE = (20, 20, 20)


def outside(low, high):
    """Six points whose smallest and largest indices are these."""
    middle = (np.array(low) + high) // 2
    points = np.tile(middle, (6, 1))
    for axis in range(3):
        points[2 * axis, axis], points[2 * axis + 1, axis] = low[axis], high[axis]
    return points


@pytest.mark.parametrize(
    ("low", "high", "faces_inside", "start", "stop"),
    [
        ((3, 4, 5), (9, 10, 11), True, (3, 4, 5), (10, 11, 12)),
        ((3, 4, 5), (9, 10, 11), False, (4, 5, 6), (9, 10, 11)),
        ((0, 4, 5), (9, 19, 11), False, (0, 5, 6), (9, 20, 11)),  # on a face of the volume: the object may reach it
        ((-7, 4, 5), (9, 25, 11), False, (0, 5, 6), (9, 20, 11)),  # beyond it: the same
        ((3, 4, 5), (4, 10, 11), False, (4, 5, 6), (4, 10, 11)),  # no voxel between
    ],
)
def test_box_of_points(low, high, faces_inside, start, stop):
    box = box_of_points(outside(low, high), SHAPE, faces_inside)
    assert (box.start, box.stop) == (start, stop)
    assert box.is_empty == (min(np.subtract(stop, start)) <= 0)


def test_shell_reaches_one_voxel_further_within_the_volume():
    box = VoxelBox((0, 3, 18), (4, 5, 20)).with_shell(SHAPE)
    assert (box.start, box.stop) == ((0, 2, 17), (5, 6, 20))


@pytest.mark.parametrize(
    ("center", "size", "axes", "start", "stop"),
    [
        ((10, 10, 10), (4, 2, 6), np.eye(3), (4, 5, 4), (7, 6, 7)),  # voxels of 2 mm: 8..12, 9..11, 7..13 mm
        ((10, 10, 10), (4, 2, 6), np.eye(3)[:, [1, 0, 2]], (5, 4, 4), (6, 7, 7)),  # first two axes swapped
        ((0, 0, 0), (4, 4, 4), np.eye(3), (0, 0, 0), (2, 2, 2)),  # clipped
        ((99, 0, 0), (4, 4, 4), np.eye(3), (20, 0, 0), (20, 2, 2)),  # beside the volume: empty
    ],
)
def test_box_of_object(center, size, axes, start, stop):
    box = ObjectBox("a", 1, np.array(center, float), axes, np.array(size, float))
    found = box_of_object(box, np.diag([2.0, 2.0, 2.0, 1.0]), SHAPE)
    assert (found.start, found.stop) == (start, stop)


def test_an_oblique_box_is_covered():
    turned = np.array([[1, -1, 0], [1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    box = ObjectBox("a", 1, np.full(3, 10.0), turned, np.array([6.0, 6.0, 2.0]))
    found = box_of_object(box, np.eye(4), SHAPE)
    assert (found.start, found.stop) == ((6, 6, 9), (15, 15, 12))  # half a diagonal is 4.24
