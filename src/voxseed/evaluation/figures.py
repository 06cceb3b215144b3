"""Figures of a report as PNG bytes. Colours are Okabe and Ito's, which colour-blind people tell apart.

Matplotlib is imported when a figure is drawn, and drawn on without pyplot, so that nothing global is touched.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from voxseed.evaluation.calibration import Calibration
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.curves import StageCurves
from voxseed.evaluation.statistics import Estimate, bootstrap_interval, by_class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH: Final = 144
_WIDE_RANGE: Final = 10
"""Largest value of a sweep over its smallest, above which its axis is logarithmic."""


@dataclass(frozen=True)
class Theme:
    """Colours of text, lines and series on a transparent ground."""

    text: str
    grid: str
    series: tuple[str, ...]


LIGHT: Final = Theme(
    text="#3d4852",
    grid="#d9dee3",
    series=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#4d4d4d"),
)
DARK: Final = Theme(
    text="#b8c2cc",
    grid="#36404a",
    series=("#56B4E9", "#E69F00", "#2FBF95", "#CC79A7", "#F0E442", "#7FA8D9", "#c8c8c8"),
)


def curves_png(curves: StageCurves, theme: Theme) -> bytes:
    """Loss terms of a stage over its steps, one panel per network."""
    figure = _figure(9.0, 2.9)
    panels = figure.subplots(1, len(curves.losses), squeeze=False)[0]
    for panel, (network, terms) in zip(panels, curves.losses.items(), strict=True):
        for index, (term, values) in enumerate(terms.items()):
            style = "-" if index < len(theme.series) else "--"
            colour = theme.series[index % len(theme.series)]
            marker = "o" if len(values) == 1 else None
            panel.plot(curves.steps, values, style, color=colour, label=term, linewidth=1.6, marker=marker)
        panel.set_title(network, color=theme.text, fontsize=10, loc="left")
        panel.set_xlabel("step", color=theme.text, fontsize=9)
        panel.legend(frameon=False, fontsize=8, labelcolor=theme.text)
        _plain(panel, theme)
    panels[0].set_ylabel("weighted loss", color=theme.text, fontsize=9)
    return as_png(figure)


def reliability_png(models: Mapping[str, Sequence[Calibration]], theme: Theme) -> bytes:
    """Share of voxels of the class over predicted probability, one panel per class, a line per model.

    Args:
        models: name → one calibration per class, of the same classes.
    """
    names = [each.class_name for each in next(iter(models.values()))]
    figure = _figure(min(9.0, 0.6 + 3.4 * len(names)), 3.6)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for number, (panel, name) in enumerate(zip(panels, names, strict=True)):
        panel.plot([0, 1], [0, 1], "--", color=theme.grid, linewidth=1.4)
        for index, (model, calibrations) in enumerate(models.items()):
            each = calibrations[number]
            label = f"{model}, ECE {each.error:.3f}"
            panel.plot(each.mean_probability, each.share, "o-", color=theme.series[index], label=label, linewidth=1.6)
        panel.set_title(name, color=theme.text, fontsize=10, loc="left")
        panel.set_xlabel("predicted probability", color=theme.text, fontsize=9)
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.legend(frameon=False, fontsize=8, labelcolor=theme.text)
        _plain(panel, theme)
    panels[0].set_ylabel("share of voxels of the class", color=theme.text, fontsize=9)
    return as_png(figure)


def dice_png(rows: Sequence[CaseMetrics], theme: Theme) -> bytes:
    """Dice of every case, a line of dots per class, with the mean and its bootstrap interval above."""
    classes = by_class(rows)
    figure = _figure(9.0, 0.9 + 0.62 * len(classes))
    panel = figure.subplots()
    generator = np.random.default_rng(0)
    for height, class_rows in enumerate(classes.values()):
        values = np.array([row.dice for row in class_rows])
        jitter = generator.uniform(-0.13, 0.13, values.size)
        panel.scatter(values, height + 0.12 + jitter, s=22, color=theme.series[0], alpha=0.55, linewidths=0)
        if values.size > 1:
            panel.plot(bootstrap_interval(values), [height - 0.25] * 2, color=theme.series[1], linewidth=3)
        panel.plot([values.mean()], [height - 0.25], "D", color=theme.series[1], markersize=6)
    panel.set_yticks(range(len(classes)), list(classes))
    panel.set_ylim(len(classes) - 0.5, -0.55)
    panel.set_xlim(-0.02, 1.02)
    panel.set_xlabel("Dice", color=theme.text, fontsize=9)
    _plain(panel, theme)
    return as_png(figure)


@dataclass(frozen=True)
class Curve:
    """A line over values of a parameter.

    Attributes:
        estimates: one per value; one over no case leaves a gap.
    """

    name: str
    values: tuple[float, ...]
    estimates: tuple[Estimate, ...]


def sweep_png(panels: Mapping[str, Sequence[Curve]], axis: str, theme: Theme) -> bytes:
    """Means over a varied parameter with their intervals as bands, one panel per parameter.

    Args:
        panels: what is varied → its curves.
        axis: what the means are.
    """
    figure = _figure(4.5 * len(panels), 3.4)
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (varied, curves) in zip(drawn, panels.items(), strict=True):
        for index, curve in enumerate(curves):
            colour = theme.series[index % len(theme.series)]
            means, lows, highs = (
                np.array([np.nan if (value := getattr(each, part)) is None else value for each in curve.estimates])
                for part in ("mean", "low", "high")
            )
            panel.fill_between(curve.values, lows, highs, color=colour, alpha=0.18, linewidth=0)
            panel.plot(curve.values, means, "o-", color=colour, label=curve.name, linewidth=1.6, markersize=4)
        spread_values(panel, sorted({value for curve in curves for value in curve.values}))
        panel.set_xlabel(varied, color=theme.text, fontsize=9)
        panel.legend(frameon=False, fontsize=8, labelcolor=theme.text)
        _plain(panel, theme)
    drawn[0].set_ylabel(axis, color=theme.text, fontsize=9)
    return as_png(figure)


def spread_values(panel: "Axes", values: Sequence[float]) -> None:
    """A logarithmic axis, linear about 0, where values such as 0.01, 0.1 and 1 would lie upon each other."""
    positive = [value for value in values if value > 0]
    if positive and positive[-1] > _WIDE_RANGE * positive[0]:
        panel.set_xscale("symlog", linthresh=positive[0])
        panel.set_xticks(values, [f"{value:g}" for value in values])
        panel.minorticks_off()


def intervals_png(rows: Mapping[str, Estimate], axis: str, theme: Theme) -> bytes:
    """A line per row: its mean and interval.

    Args:
        rows: title → estimate, from top to bottom.
        axis: what the numbers are.
    """
    figure = _figure(9.0, 0.9 + 0.34 * len(rows))
    panel = figure.subplots()
    for height, estimate in enumerate(rows.values()):
        if estimate.low is not None and estimate.high is not None:
            panel.plot([estimate.low, estimate.high], [height] * 2, color=theme.series[0], linewidth=3, alpha=0.6)
        if estimate.mean is not None:
            panel.plot([estimate.mean], [height], "D", color=theme.series[1], markersize=6)
    panel.set_yticks(range(len(rows)), list(rows))
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlabel(axis, color=theme.text, fontsize=9)
    _plain(panel, theme)
    return as_png(figure)


def as_png(figure: "Figure", facecolor: str = "none") -> bytes:
    """The figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, facecolor=facecolor, metadata={"Software": None})
    return buffer.getvalue()


def _figure(width_inches: float, height_inches: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def _plain(panel: "Axes", theme: Theme) -> None:
    """No box, quiet grid, text in the theme's colour."""
    panel.set_facecolor("none")
    panel.grid(True, color=theme.grid, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=theme.text, labelsize=8.5, length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
