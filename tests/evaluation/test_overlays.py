"""Overlay pictures: the right place, the right way round."""

import io

import numpy as np
import pytest

from voxseed.data.volumes import Volume
from voxseed.errors import ShapeError
from voxseed.evaluation.overlays import LABEL_COLOUR, PREDICTION_COLOUR, overlay_png, overlay_rows_png

AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def volume(array: np.ndarray, affine: np.ndarray = AFFINE) -> Volume:
    return Volume(array, affine)


@pytest.fixture
def head() -> tuple[np.ndarray, np.ndarray]:
    """An image that grows brighter to the patient's right, and a label."""
    image = np.broadcast_to(np.arange(40.0)[:, None, None], (40, 32, 16)).astype(np.float32)
    label = np.zeros((40, 32, 16), np.uint8)
    label[12:26, 10:22, 4:11] = 1
    label[26:30, 10:22, 4:11] = 2
    return image, label


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return imread(io.BytesIO(png))[..., :3]


def count(png: bytes, colour: str) -> int:
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return int((np.abs(pixels(png) - wanted) < 0.1).all(axis=-1).sum())


def test_both_outlines_are_there(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    png = overlay_png(volume(image), volume(np.roll(label, 3, axis=0)), volume(label))
    assert count(png, LABEL_COLOUR) > 500
    assert count(png, PREDICTION_COLOUR) > 300


@pytest.mark.parametrize("missing", ["prediction", "label", "both"])
def test_an_empty_map_has_no_outline(head: tuple[np.ndarray, np.ndarray], missing: str) -> None:
    image, label = head
    nothing = np.zeros_like(label)
    prediction = volume(nothing if missing != "label" else label)
    reference = volume(nothing if missing != "prediction" else label)
    png = overlay_png(volume(image), prediction, reference)
    assert (count(png, LABEL_COLOUR) == 0) == (missing != "prediction")
    assert (count(png, PREDICTION_COLOUR) == 0) == (missing != "label")


def test_the_patients_right_is_on_the_left(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    shown = pixels(overlay_png(volume(image), volume(label), volume(label))).mean(axis=-1)
    axial = shown[:, : shown.shape[1] // 4]  # the first panel's left part holds the brightest, right side
    assert axial[shown.shape[0] // 3, 40] > 0.6


def test_the_order_of_axes_on_disk_does_not_matter(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    # The same head stored as (posterior, superior, left).
    affine = np.array([[0, 0, -1.0, 39], [-1, 0, 0, 31], [0, 3, 0, 0], [0, 0, 0, 1]])
    turned = [np.flip(np.moveaxis(array, 0, 2), (0, 2)) for array in (image, np.roll(label, 2, axis=1), label)]
    straight = overlay_png(volume(image), volume(np.roll(label, 2, axis=1)), volume(label))
    assert overlay_png(*(volume(array, affine) for array in turned)) == straight


def test_a_constant_image_can_be_shown(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    assert overlay_png(volume(np.zeros_like(image)), volume(label), volume(label)).startswith(b"\x89PNG")


def test_shapes_that_differ(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    with pytest.raises(ShapeError, match=r"Image \(40, 32, 16\), prediction \(39, 32, 16\)"):
        overlay_png(volume(image), volume(label[1:]), volume(label))


def test_rows_side_by_side(head: tuple[np.ndarray, np.ndarray]) -> None:
    image, label = head
    moved = volume(np.roll(label, 3, axis=0))
    one = overlay_rows_png(volume(image), {"moved": moved}, volume(label))
    five = overlay_rows_png(volume(image), {f"row {n}": moved for n in range(5)}, volume(label))
    assert pixels(five).shape[1] == pixels(one).shape[1]
    for png in (one, five):
        assert count(png, LABEL_COLOUR) > 200
        assert count(png, PREDICTION_COLOUR) > 100
    nothing = overlay_rows_png(volume(image), {"missed": volume(np.zeros_like(label))}, volume(label))
    assert count(nothing, PREDICTION_COLOUR) == 0
    with pytest.raises(ShapeError, match="differ in shape"):
        overlay_rows_png(volume(image), {"a": moved, "b": volume(label[1:])}, volume(label))
