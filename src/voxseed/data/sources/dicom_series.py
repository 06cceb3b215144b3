"""A DICOM series as a volume: slices in order, evenly spaced, one behind the other, or refused.

Voxel (i, j, k) is column i, row j of the k-th slice along the slice normal. DICOM's positions are LPS; here RAS+.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException

from voxseed.data.grids import Grid
from voxseed.data.sources.base import counted
from voxseed.data.sources.dicom_damage import is_uncompressed
from voxseed.data.sources.dicom_slices import Slice
from voxseed.data.volumes import Volume
from voxseed.errors import InputError
from voxseed.types import FloatArray

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_DIRECTION = 1e-3
"""Largest difference of direction cosines, and of pixel spacings in mm, that is taken for rounding."""
_RIGHT_ANGLE = 0.01
_SAME_POSITION_MM = 0.01
_SPACING_TOLERANCE = 0.05
"""Of the usual distance between slices, and of a pixel, for what is taken for rounding."""
_TILT_TOLERANCE_DEGREES = 0.1
_PIXEL_TAGS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
)
_UNDECODABLE = (BytesLengthException, NotImplementedError, RuntimeError, AttributeError, ValueError, KeyError, EOFError)


@dataclass(frozen=True)
class DicomSeries:
    """A volume whose slices are DICOM files or frames.

    Attributes:
        path: folder of the files, or the one file.
        title: description, or number, of the series.
        slices: in any order.
    """

    path: Path
    title: str
    slices: tuple[Slice, ...]

    @property
    def description(self) -> str:
        """What the scanner called it, and how many slices it has."""
        return f"{self.title} ({counted(self.slices, 'slice')})"

    def files(self) -> list[Path]:
        """Each file once, in the order of its first slice."""
        return list(dict.fromkeys(each.path for each in self.slices))

    def read_grid(self) -> Grid:
        """Shape and affine from the headers.

        Raises:
            InputError: if the slices form no regular grid.
        """
        return self.ordered()[1]

    def read(self) -> Volume:
        """Voxels with each slice's rescale applied.

        Raises:
            InputError: if the slices form no regular grid, or cannot be decoded.
        """
        slices, grid = self.ordered()
        last_path, pixels = slices[0].path, _pixels(slices[0].path)
        is_whole = all(float(number).is_integer() for each in slices for number in (each.slope, each.intercept))
        array = np.empty(grid.shape, np.int32 if is_whole and pixels.dtype.kind in "iu" else np.float32)
        for index, each in enumerate(slices):
            if each.path != last_path:
                last_path, pixels = each.path, _pixels(each.path)
            frame = pixels[each.frame] if pixels.ndim == 3 else pixels
            if frame.T.shape != each.shape:
                raise InputError(f"{each.path}: holds {frame.T.shape} pixels, expected {each.shape}. Export it again.")
            array[:, :, index] = frame.T * each.slope + each.intercept
        return Volume(array, grid.affine)

    def ordered(self) -> tuple[list[Slice], Grid]:
        """Slices in the order of the volume's third axis, and its grid.

        Raises:
            InputError: if the slices form no regular grid.
        """
        where = f"{self.path}, series {self.title}"
        try:
            return ordered(self.slices)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def ordered(slices: Sequence[Slice]) -> tuple[list[Slice], Grid]:
    """Slices along their normal, and the grid that they form.

    Raises:
        InputError: if a slice has no place, they differ in size or orientation, two are at one place, one is missing,
            or they lie askew. The message names numbers, not the series.
    """
    if len(slices) < 2:
        raise InputError("holds 1 slice, expected a volume of several. Choose another series with --series.")
    _require_places(slices)
    _require_alike(slices)
    along, down = np.reshape(slices[0].orientation or (), (2, 3))
    normal = np.cross(along, down)
    lengths = np.linalg.norm([along, down, normal], axis=1)
    if np.abs(lengths - 1).max() > _RIGHT_ANGLE or abs(float(along @ down)) > _RIGHT_ANGLE:
        raise InputError("its rows and columns are not at right angles of unit length. Export it with its geometry.")
    result = sorted(slices, key=lambda each: (round(float(np.dot(each.position_mm or (), normal)), 6), each.number))
    positions_mm = np.array([each.position_mm for each in result])
    pixel_mm = np.array(slices[0].pixel_spacing_mm)
    depths_mm = positions_mm @ normal
    _require_distinct(result, depths_mm)
    _require_upright(positions_mm - positions_mm[0], normal, pixel_mm)
    _require_even(result, depths_mm)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = along * pixel_mm[0], down * pixel_mm[1]
    lps[:3, 2] = (positions_mm[-1] - positions_mm[0]) / (len(result) - 1)
    lps[:3, 3] = positions_mm[0]
    return result, Grid((*slices[0].shape, len(result)), _LPS_TO_RAS @ lps)


def _require_places(slices: Sequence[Slice]) -> None:
    for what, attribute in (
        ("ImagePositionPatient", "position_mm"),
        ("ImageOrientationPatient", "orientation"),
        ("PixelSpacing", "pixel_spacing_mm"),
    ):
        without = [each for each in slices if getattr(each, attribute) is None]
        if without:
            raise InputError(
                f"{counted(without, 'slice')} of {len(slices)} without {what}, the first is {_named(without[0])}, "
                "so where they lie is unknown. Export the original series."
            )


def _require_alike(slices: Sequence[Slice]) -> None:
    sizes = Counter(each.shape for each in slices)
    if len(sizes) > 1:
        listed = ", ".join(f"{columns} × {rows} ({count})" for (columns, rows), count in sizes.most_common())
        raise InputError(f"slices of different sizes, {listed}; expected one. Move those that do not belong elsewhere.")
    _require_one(slices, "orientations", lambda each: each.orientation)
    _require_one(slices, "pixel spacings", lambda each: each.pixel_spacing_mm)


def _require_one(slices: Sequence[Slice], what: str, value: Callable[[Slice], tuple[float, ...] | None]) -> None:
    first = np.array(value(slices[0]))
    other = [each for each in slices if np.abs(np.array(value(each)) - first).max() > _SAME_DIRECTION]
    if other:
        raise InputError(
            f"slices of different {what}: {_triple(value(slices[0]))} ({len(slices) - len(other)}), and "
            f"{_triple(value(other[0]))} or others ({len(other)}, the first is {_named(other[0])}); expected one. "
            "Move those that do not belong elsewhere."
        )


def _require_distinct(slices: Sequence[Slice], depths_mm: FloatArray) -> None:
    pairs = [index for index, gap in enumerate(np.diff(depths_mm)) if gap < _SAME_POSITION_MM]
    if pairs:
        first = pairs[0]
        raise InputError(
            f"{counted(pairs, 'slice')} at the position of another, the first are {_named(slices[first])} and "
            f"{_named(slices[first + 1])}, both at {depths_mm[first]:.2f} mm along the normal. Remove copies; "
            "if these are time points, echoes or two scans, keep one."
        )


def _require_upright(offsets_mm: FloatArray, normal: FloatArray, pixel_mm: FloatArray) -> None:
    """Slices lie one behind the other: no tilt over the stack, and none out of line."""
    along = offsets_mm @ normal
    aside = offsets_mm - along[:, None] * normal
    tilt = math.degrees(math.atan2(float(np.linalg.norm(aside[-1])), float(along[-1])))
    if tilt > _TILT_TOLERANCE_DEGREES and np.linalg.norm(aside[-1]) > 2 * _SAME_POSITION_MM:
        raise InputError(
            f"a tilted gantry, the slices are stacked {tilt:.1f}° off their normal; expected a right angle. "
            "Resample it first, for example with 3D Slicer (Acquisition Geometry Regularization) or dcm2niix."
        )
    residual_mm = np.linalg.norm(aside - np.outer(along / along[-1], aside[-1]), axis=1)
    if residual_mm.max() > max(_SPACING_TOLERANCE * pixel_mm.min(), 2 * _SAME_POSITION_MM):
        raise InputError(
            f"slice {int(residual_mm.argmax()) + 1} lies {residual_mm.max():.2f} mm beside the line of the others. "
            "Export the series again, or choose another."
        )


def _require_even(slices: Sequence[Slice], depths_mm: FloatArray) -> None:
    gaps_mm = np.diff(depths_mm)
    usual_mm = float(np.median(gaps_mm))
    tolerance_mm = _SPACING_TOLERANCE * usual_mm + _SAME_POSITION_MM
    steps = np.maximum(np.rint(gaps_mm / usual_mm), 1)
    if (np.abs(gaps_mm - steps * usual_mm) > tolerance_mm * steps).any():
        raise InputError(
            f"slices {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm apart, expected one distance. "
            "Resample it first, or choose another series."
        )
    holes = [index for index, step in enumerate(steps) if step > 1]
    if holes:
        listed = "; ".join(
            f"{int(steps[index]) - 1} between {_named(slices[index])} at {depths_mm[index]:.2f} mm and "
            f"{_named(slices[index + 1])} at {depths_mm[index + 1]:.2f} mm"
            for index in holes[:5]
        )
        count = int(sum(steps[index] - 1 for index in holes))
        raise InputError(
            f"{counted(count, 'slice')} missing of {len(slices) + count} every {usual_mm:.2f} mm: {listed}. "
            "Find their files, or export the series again."
        )


def _pixels(path: Path) -> Any:
    """Stored values, (rows, columns) or (frames, rows, columns)."""
    remedy = "Export the file again"
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=list(_PIXEL_TAGS))
        if not is_uncompressed(dataset):
            remedy = (
                "They are compressed: install pylibjpeg with its plugins, or decompress them first, for example with "
                "gdcmconv --raw; if that does not help, export the file again"
            )
        return dataset.pixel_array
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except _UNDECODABLE as error:
        detail = " ".join(str(error).split())
        raise InputError(f"{path}: its pixels cannot be decoded ({detail}). {remedy}.") from None


def _named(each: Slice) -> str:
    return f"slice {each.number} ({each.path.name})"


def _triple(numbers: tuple[float, ...] | None) -> str:
    return "(" + ", ".join(f"{number:.4g}" for number in numbers or ()) + ")"
