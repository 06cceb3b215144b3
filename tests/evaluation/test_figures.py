"""Figures are PNG files that show what they should."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.curves import StageCurves
from voxseed.evaluation.figures import (
    DARK,
    LIGHT,
    Curve,
    Theme,
    curves_png,
    dice_png,
    intervals_png,
    spread_values,
    sweep_png,
)
from voxseed.evaluation.statistics import Estimate


def pixels(png: bytes) -> np.ndarray:
    """(rows, columns, 4) in [0, 1]."""
    from matplotlib.image import imread

    return imread(io.BytesIO(png))


def has_colour(png: bytes, colour: str) -> bool:
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    shown = pixels(png)
    return bool(((np.abs(shown[..., :3] - wanted) < 0.02).all(axis=-1) & (shown[..., 3] > 0.98)).any())


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_curves_of_two_networks(theme: Theme) -> None:
    losses = {"primary": {"partial": (0.9, 0.5), "crf": (0.2, 0.1)}, "auxiliary": {"partial": (0.8, 0.4)}}
    png = curves_png(StageCurves("01-stage-one", (50, 100), losses, 6.0), theme)
    assert has_colour(png, theme.series[0])
    assert has_colour(png, theme.series[1])
    assert not has_colour(png, theme.series[3])
    assert pixels(png)[0, 0, 3] == 0  # the page's own ground shows


def test_a_curve_of_one_epoch_is_a_dot() -> None:
    assert has_colour(curves_png(StageCurves("01", (50,), {"": {"total": (0.9,)}}, 1.0), LIGHT), LIGHT.series[0])


def test_dice_of_one_case_and_of_many(row: Callable[..., CaseMetrics]) -> None:
    one = dice_png([row("a", dice=0.5)], LIGHT)
    many = dice_png([row(f"{n}", name, dice=n / 9) for n in range(9) for name in ("tumour", "cyst")], LIGHT)
    assert has_colour(one, LIGHT.series[1])
    assert has_colour(many, LIGHT.series[1])
    assert pixels(many).shape[0] > pixels(one).shape[0]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_sweep_has_a_line_per_curve_and_a_panel_per_axis(theme: Theme) -> None:
    curve = Curve("primary", (0.0, 0.5, 1.0), (Estimate(3, 0.6, 0.1, 0.5, 0.7), Estimate(0), Estimate(1, 0.7)))
    one = sweep_png({"λ": [curve]}, "Dice", theme)
    two = sweep_png({"α": [curve], "β": [curve, Curve("auxiliary", curve.values, curve.estimates)]}, "Dice", theme)
    assert has_colour(one, theme.series[0])
    assert not has_colour(one, theme.series[1])
    assert has_colour(two, theme.series[1])
    assert pixels(two).shape[1] == 2 * pixels(one).shape[1]


@pytest.mark.parametrize(
    ("values", "places"),
    [((0.0, 0.01, 0.1, 1.0), (0.0, 1 / 3, 2 / 3, 1.0)), ((0.0, 0.25, 0.5, 1.0), (0.0, 0.25, 0.5, 1.0))],
)
def test_values_of_several_magnitudes_do_not_lie_upon_each_other(
    values: tuple[float, ...], places: tuple[float, ...]
) -> None:
    panel = Figure().subplots()
    spread_values(panel, values)
    drawn = panel.transScale.transform([(value, 0.0) for value in values])[:, 0]
    np.testing.assert_allclose(drawn / drawn[-1], places, atol=0.03)


def test_intervals_grow_with_the_number_of_rows() -> None:
    estimate = Estimate(3, 0.6, 0.1, 0.5, 0.7)
    one, many = (
        intervals_png({"a": estimate}, "Dice", LIGHT),
        intervals_png(dict.fromkeys("abc", estimate), "Dice", LIGHT),
    )
    assert has_colour(one, LIGHT.series[1])
    assert pixels(many).shape[0] > pixels(one).shape[0]
