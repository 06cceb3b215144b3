"""Dice and volume, checked with a pencil."""

import numpy as np
import pytest

from voxseed.errors import ShapeError
from voxseed.metrics.overlap import dice, volume_ml


def row(*voxels: int) -> np.ndarray:
    return np.array(voxels, dtype=bool).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        (row(1, 1, 0, 0), row(1, 1, 0, 0), 1.0),
        (row(1, 1, 0, 0), row(0, 0, 1, 1), 0.0),
        (row(1, 1, 1, 0), row(0, 1, 1, 1), 4 / 6),
        (row(1, 1, 1, 1), row(1, 0, 0, 0), 2 / 5),
        (row(0, 0), row(0, 0), 1.0),  # two empty masks agree
        (row(0, 0), row(1, 0), 0.0),
        (row(1, 0), row(0, 0), 0.0),
    ],
)
def test_dice_of_a_row(prediction: np.ndarray, reference: np.ndarray, expected: float) -> None:
    assert dice(prediction, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("voxels", "spacing_mm", "expected"),
    [(1000, (1, 1, 1), 1.0), (8, (0.5, 2.0, 5.0), 0.04), (0, (1, 1, 1), 0.0)],
)
def test_volume_in_millilitres(voxels: int, spacing_mm: tuple[float, float, float], expected: float) -> None:
    mask = np.arange(10 * 10 * 11).reshape(10, 10, 11) < voxels
    assert volume_ml(mask, spacing_mm) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "reference", "sentence"),
    [
        (np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool), r"\(2, 2, 2\) and reference \(2, 2, 3\) differ"),
        (
            np.zeros((2, 2), bool),
            np.zeros((2, 2), bool),
            r"prediction: expected a 3D boolean mask, found shape \(2, 2\)",
        ),
        (np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), np.uint8), "reference: expected a 3D boolean mask.* uint8"),
    ],
)
def test_masks_that_do_not_fit(prediction: np.ndarray, reference: np.ndarray, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        dice(prediction, reference)


@pytest.mark.parametrize("spacing_mm", [(1, 1), (1, 1, 0), (1, 1, -2), (1, 1, float("nan")), (1, 1, float("inf"))])
def test_spacing_that_is_none(spacing_mm: tuple[float, ...]) -> None:
    with pytest.raises(ShapeError, match="three positive lengths"):
        volume_ml(np.ones((2, 2, 2), bool), spacing_mm)  # type: ignore[arg-type]
