"""Overlay pictures: three planes through the object, with the outlines of label and prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Final

import numpy as np

from voxseed.data.volumes import Volume, canonical
from voxseed.errors import ShapeError
from voxseed.evaluation.figures import as_png
from voxseed.types import BoolArray, FloatArray, Shape3

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_COLOUR: Final = "#56B4E9"
PREDICTION_COLOUR: Final = "#FFB000"
_MARGIN_MM = 12.0
_MARGIN_SHARE = 0.3
_WIDTH_INCHES = 9.0
_MOST_COLUMNS = 4
_CAPTION_CHARACTERS = 140
"""Of all columns side by side, at the size of the captions."""
_GROUND = "#0b0d10"
_LETTER_PLACES = (
    (0.02, 0.5, "left", "center"),
    (0.98, 0.5, "right", "center"),
    (0.5, 0.98, "center", "top"),
    (0.5, 0.02, "center", "bottom"),
)
_SCALE_BARS_MM = (100, 50, 20, 10, 5, 2, 1)


@dataclass(frozen=True)
class _Plane:
    """How one plane of a canonical (right, anterior, superior) array is shown, as radiologists look at it."""

    title: str
    normal: int
    across: int
    up: int
    letters: tuple[str, str, str, str]
    """At the left, right, top and bottom."""


_PLANES = (
    _Plane("axial", normal=2, across=0, up=1, letters=("R", "L", "A", "P")),
    _Plane("coronal", normal=1, across=0, up=2, letters=("R", "L", "S", "I")),
    _Plane("sagittal", normal=0, across=1, up=2, letters=("A", "P", "S", "I")),
)


def overlay_png(image: Volume, prediction: Volume, label: Volume) -> bytes:
    """Axial, coronal and sagittal plane through the labelled object, the three on one scale in mm.

    The planes meet in the foreground voxel nearest to the foreground's centre; around the foreground is a margin.

    Args:
        image: intensities.
        prediction: class indices on the image's grid; outlined dashed in orange.
        label: class indices on the image's grid; outlined in blue.

    Raises:
        ShapeError: if the three differ in shape.
    """
    _require_same_shape(image, prediction, label)
    image, prediction, label = canonical(image), canonical(prediction), canonical(label)
    spacing = np.array(image.spacing_mm)
    foreground = (label.array > 0) | (prediction.array > 0)
    box = _window(foreground, spacing)
    center = _central_voxel(label.array > 0 if label.array.any() else foreground, spacing)

    from matplotlib.figure import Figure

    extents = spacing * [axis.stop - axis.start for axis in box]
    widths = [extents[plane.across] for plane in _PLANES]
    height = max(extents[plane.up] for plane in _PLANES)
    figure = Figure(figsize=(_WIDTH_INCHES, _WIDTH_INCHES * height / sum(widths) + 0.3), layout="constrained")
    panels = figure.subplots(1, 3, width_ratios=widths)
    for panel, plane in zip(panels, _PLANES, strict=True):
        _draw(panel, (image, prediction, label), plane, box, center)
        _annotate(panel, plane)
    _scale_bar(panels[0], widths[0])
    return as_png(figure, facecolor=_GROUND)


def overlay_rows_png(image: Volume, predictions: Mapping[str, Volume], label: Volume) -> bytes:
    """The axial plane through the labelled object, once per prediction, all of the same place and scale.

    Args:
        image: intensities.
        predictions: caption → class indices on the image's grid, at least one.
        label: class indices on the image's grid.

    Raises:
        ShapeError: if they differ in shape.
    """
    for prediction in predictions.values():
        _require_same_shape(image, prediction, label)
    image, label = canonical(image), canonical(label)
    shown = {caption: canonical(prediction) for caption, prediction in predictions.items()}
    spacing = np.array(image.spacing_mm)
    foreground = np.any([label.array > 0, *(prediction.array > 0 for prediction in shown.values())], axis=0)
    box = _window(foreground, spacing)
    center = _central_voxel(label.array > 0 if label.array.any() else foreground, spacing)

    from matplotlib.figure import Figure

    plane = _PLANES[0]
    extents = spacing * [axis.stop - axis.start for axis in box]
    columns = min(_MOST_COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    panel_inches = _WIDTH_INCHES / columns
    caption_lines = max(fill(caption, _CAPTION_CHARACTERS // columns).count("\n") + 1 for caption in shown)
    height = lines * (panel_inches * extents[plane.up] / extents[plane.across] + 0.15 + 0.15 * caption_lines)
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, (caption, prediction) in zip(panels, shown.items(), strict=False):
        _draw(panel, (image, prediction, label), plane, box, center)
        panel.set_title(fill(caption, _CAPTION_CHARACTERS // columns), color="#e6ebf0", fontsize=8)
    for panel in panels:
        panel.set_axis_off()
    _scale_bar(panels[0], extents[plane.across])
    return as_png(figure, facecolor=_GROUND)


def _require_same_shape(image: Volume, prediction: Volume, label: Volume) -> None:
    if not image.shape == prediction.shape == label.shape:
        raise ShapeError(f"Image {image.shape}, prediction {prediction.shape} and label {label.shape} differ in shape.")


def _draw(
    panel: "Axes",
    volumes: tuple[Volume, Volume, Volume],
    plane: _Plane,
    box: tuple[slice, slice, slice],
    center: Shape3,
) -> None:
    """One plane of image, prediction and label."""
    image, prediction, label = volumes
    low, high = np.percentile(image.array[box], [1, 99.5])
    aspect = image.spacing_mm[plane.up] / image.spacing_mm[plane.across]
    shown = _slice(image.array, plane, box, center)
    panel.imshow(shown, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect, interpolation="nearest")
    for classes, colour, style in (
        (label.array, LABEL_COLOUR, "solid"),
        (prediction.array, PREDICTION_COLOUR, (0, (3, 1.6))),
    ):
        _outline(panel, _slice(classes, plane, box, center), colour, style)


def _central_voxel(mask: BoolArray, spacing: FloatArray) -> Shape3:
    """The foreground voxel nearest to the centre of mass; the middle of the volume if there is none."""
    voxels = np.argwhere(mask)
    if len(voxels) == 0:
        return tuple(size // 2 for size in mask.shape)
    offsets = (voxels - voxels.mean(axis=0)) * spacing
    return tuple(int(index) for index in voxels[(offsets**2).sum(axis=1).argmin()])  # type: ignore[return-value]


def _window(mask: BoolArray, spacing: FloatArray) -> tuple[slice, slice, slice]:
    """The foreground with a margin, clipped to the volume; the whole volume if there is none."""
    voxels = np.argwhere(mask)
    if len(voxels) == 0:
        return tuple(slice(0, size) for size in mask.shape)  # type: ignore[return-value]
    first, last = voxels.min(axis=0), voxels.max(axis=0) + 1
    margin = np.ceil(np.maximum(_MARGIN_MM, _MARGIN_SHARE * (last - first) * spacing) / spacing).astype(int)
    starts, stops = np.maximum(first - margin, 0), np.minimum(last + margin, mask.shape)
    return tuple(slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))  # type: ignore[return-value]


def _slice(array: np.ndarray, plane: _Plane, box: tuple[slice, slice, slice], center: Shape3) -> np.ndarray:
    """Rows from top to bottom, columns from left to right."""
    place: list[slice | int] = list(box)
    place[plane.normal] = center[plane.normal]
    return array[tuple(place)][::-1, ::-1].T


def _outline(panel: "Axes", classes: np.ndarray, colour: str, style: object) -> None:
    """One closed line around every piece of every class; what lies outside the picture is background."""
    rows, columns = (np.arange(-1, size + 1) for size in classes.shape)
    for index in np.unique(classes[classes > 0]):
        mask = np.pad(classes == index, 1)
        panel.contour(columns, rows, mask, levels=[0.5], colors=[colour], linewidths=1.5, linestyles=[style])
    panel.set_xlim(-0.5, classes.shape[1] - 0.5)
    panel.set_ylim(classes.shape[0] - 0.5, -0.5)


def _annotate(panel: "Axes", plane: _Plane) -> None:
    panel.set_axis_off()
    panel.set_title(plane.title, color="#aab4be", fontsize=9)
    for letter, (x, y, horizontal, vertical) in zip(plane.letters, _LETTER_PLACES, strict=True):
        panel.text(
            x, y, letter, transform=panel.transAxes, ha=horizontal, va=vertical, color="#e6ebf0", fontsize=8, alpha=0.85
        )


def _scale_bar(panel: "Axes", width_mm: float) -> None:
    """A line of a round length, at most a third of the panel."""
    length_mm = next((length for length in _SCALE_BARS_MM if length <= width_mm / 3), _SCALE_BARS_MM[-1])
    share = length_mm / width_mm
    panel.plot([0.04, 0.04 + share], [0.04, 0.04], transform=panel.transAxes, color="#e6ebf0", linewidth=2)
    panel.text(0.04, 0.06, f"{length_mm} mm", transform=panel.transAxes, color="#e6ebf0", fontsize=7.5)
