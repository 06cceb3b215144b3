"""The channel of a picture is the one in which the object can be seen."""

import numpy as np
import pytest

from voxseed.data.volumes import Image, Volume
from voxseed.errors import ShapeError
from voxseed.evaluation.shown_channel import shown_channel

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SHAPE = (12, 12, 12)
INSIDE = np.zeros(SHAPE, np.uint8)
INSIDE[5:7, 5:7, 5:7] = 1
FLAT = np.full(SHAPE, 7.0)
CHESS = (np.indices(SHAPE).sum(axis=0) % 2).astype(float)
"""As bright inside as around, whatever the contrast."""
FAINT = 100 * CHESS + 10 * INSIDE
CLEAR = CHESS + 10 * INSIDE
DARK = CHESS - 20 * INSIDE
FAR = CHESS.copy()
FAR[0] = 1000
"""Bright far from the object, which says nothing about it."""


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([CLEAR], 0),
        ([FAINT, CLEAR], 1),
        ([CLEAR, FAINT], 0),
        ([CLEAR, DARK, FAINT], 1),
        ([FAR, FAINT], 1),
        ([FLAT, CHESS], 0),
        ([FLAT, CLEAR], 1),
        ([CLEAR, CLEAR], 0),
    ],
)
def test_the_channel_with_the_largest_contrast_is_shown(channels, expected):
    assert shown_channel(Image(np.stack(channels).astype(np.float32), AFFINE), Volume(INSIDE, AFFINE)) == expected


@pytest.mark.parametrize("label", [np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)], ids=["nothing", "everything"])
def test_without_object_or_surroundings_the_first_is_shown(label):
    image = Image(np.stack([FAINT, CLEAR]).astype(np.float32), AFFINE)
    assert shown_channel(image, Volume(label, AFFINE)) == 0


def test_an_image_on_another_grid_is_refused():
    with pytest.raises(ShapeError, match="differ in shape"):
        shown_channel(Image(CLEAR[None, :4], AFFINE), Volume(INSIDE, AFFINE))
