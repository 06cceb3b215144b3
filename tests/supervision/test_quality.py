"""Precision and recall of supervision, counted by hand."""

import numpy as np
import pytest

from voxseed.errors import ShapeError
from voxseed.supervision.kinds import Supervision, SupervisionKind
from voxseed.supervision.quality import annotated_share, precision_and_recall
from voxseed.types import IGNORE

U = IGNORE
TARGET = np.array([0, 0, 0, 1, 1, U, U, 2], np.uint8).reshape(2, 2, 2)
DENSE = np.array([0, 0, 1, 1, 1, 1, 0, U], np.uint8).reshape(2, 2, 2)
SUPERVISION = Supervision(SupervisionKind.PARTIAL, TARGET, np.eye(4))


@pytest.mark.parametrize(
    ("index", "precision", "recall", "labelled", "true"),
    [
        (0, 2 / 3, 2 / 3, 3, 3),
        (1, 1.0, 2 / 4, 2, 4),
        (2, np.nan, np.nan, 0, 0),  # its only labelled voxel is unknown in the dense label
    ],
)
def test_each_class(index, precision, recall, labelled, true):
    row = precision_and_recall(SUPERVISION, DENSE, class_count=3)[index]
    np.testing.assert_equal(
        (row.class_index, row.precision, row.recall, row.labelled_voxels, row.true_voxels),
        (index, precision, recall, labelled, true),
    )


@pytest.mark.parametrize(("index", "expected"), [(0, 4 / 6), (1, 4 / 6), (2, np.nan)])
def test_dice_counts_unlabelled_voxels_as_not_of_the_class(index, expected):
    row = precision_and_recall(SUPERVISION, DENSE, class_count=3)[index]
    np.testing.assert_allclose(row.dice, expected)


def test_share_annotated():
    assert annotated_share(SUPERVISION) == 6 / 8


def test_another_shape_is_an_error():
    with pytest.raises(ShapeError, match=r"found \(1, 2, 2\)"):
        precision_and_recall(SUPERVISION, DENSE[:1], class_count=2)
