"""Preprocessing: from a case's own grid and intensities to those that networks work on, and back.

The working grid has axes closest to right, anterior, superior and one spacing for all cases. It is decided once, on
the training cases, and travels with the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import nibabel as nib
import numpy as np
from pydantic import Field, PositiveFloat, ValidationInfo, field_validator

from voxseed.data.grids import Grid, OnGrid, spacing_of
from voxseed.data.normalisation import Kind, Normalisation, ct_normalisation, drawn, normalise
from voxseed.data.resampling import (
    resample,
    resample_labels,
    resample_mask,
    resample_painted,
    resampled_affine,
    resampled_argmax,
    resampled_extent,
    resampled_shape,
)
from voxseed.data.valid_region import valid_region
from voxseed.data.volumes import Image, Volume, canonical, like
from voxseed.errors import InputError
from voxseed.progress import track
from voxseed.settings import Settings
from voxseed.types import BoolArray, FloatArray, LabelArray, Shape3, Spacing

Box = tuple[Shape3, Shape3]
"""Start and stop, half-open, in voxels of the case's own grid."""
PositiveSpacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]

_CT_VOXELS_PER_CASE = 20_000
_KIND_OF_CHANNEL_NAME: Mapping[str, Kind] = {"ct": "ct", "nonorm": "none"}
"""As nnU-Net has it in dataset.json, in lower case; any other channel is z-scored."""


class PreprocessingSettings(Settings):
    """What a user can choose about the working grid and intensities."""

    spacing_mm: Literal["auto"] | PositiveSpacing = Field(
        "auto",
        description="Spacing of the working grid along right, anterior, superior; auto: median of the training cases.",
    )
    normalisation: Literal["auto", "zscore", "ct", "none"] = Field(
        "auto",
        description="auto: by channel name, CT alike in all cases, noNorm as it is, others each case by itself.",
    )


class TrainingCases(Protocol):
    """What preprocessing asks of a dataset."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One per channel."""

    def read_grid(self, case: str) -> Grid:
        """Shape and affine of a case."""

    def read_image(self, case: str) -> Image:
        """All channels of a case."""


@dataclass(frozen=True)
class PreprocessedImage:
    """A case on the working grid, and the way back.

    Attributes:
        array: (M, I, J, K) float32, normalised; 0 outside the valid region.
        valid: (I, J, K) bool.
        affine: (4, 4), RAS+ mm, of the working grid.
        canonical: the case's own voxels with axes closest to right, anterior, superior.
        native: the case's own grid.
    """

    array: FloatArray
    valid: BoolArray
    affine: FloatArray
    canonical: Grid
    native: Grid

    @property
    def shape(self) -> Shape3:
        """Voxels of the working grid."""
        return self.array.shape[1:]

    @property
    def spacing_mm(self) -> Spacing:
        """Of the working grid; a whole number of voxels fits the case, so it differs a little from the model's."""
        return spacing_of(self.affine)

    def native_labels(self, probabilities: np.ndarray) -> LabelArray:
        """Most probable class on the case's own grid; background outside the valid region.

        Args:
            probabilities: (C, I, J, K) on the working grid.

        Returns:
            uint8 of the case's own shape and axis order.
        """
        labels = resampled_argmax(probabilities, self.canonical.shape)
        labels[~resample_mask(self.valid, self.canonical.shape)] = 0
        return self._native(labels)

    def native_probabilities(self, probabilities: np.ndarray) -> FloatArray:
        """Probabilities on the case's own grid; certain background outside the valid region.

        Args:
            probabilities: (C, I, J, K) on the working grid.

        Returns:
            (C, I, J, K) float32 of the case's own shape and axis order.
        """
        invalid = ~resample_mask(self.valid, self.canonical.shape)
        result = np.empty((len(probabilities), *self.native.shape), dtype=np.float32)
        for index, probability in enumerate(probabilities):
            result[index] = self._native_values(probability, invalid, 1.0 if index == 0 else 0.0)
        return result

    def native_values(self, values: np.ndarray) -> FloatArray:
        """Any values on the case's own grid, such as an uncertainty; 0 outside the valid region.

        Args:
            values: (I, J, K) on the working grid.

        Returns:
            float32 of the case's own shape and axis order.
        """
        return self._native_values(values, ~resample_mask(self.valid, self.canonical.shape), 0.0)

    def _native_values(self, values: np.ndarray, invalid: BoolArray, outside: float) -> FloatArray:
        resampled = resample(values, self.canonical.shape)
        resampled[invalid] = outside
        return self._native(resampled)

    def _native(self, array: np.ndarray) -> np.ndarray:
        return like(Volume(array, self.canonical.affine), self.native).array


class Preprocessing(Settings):
    """What was decided on the training cases; part of every model.

    Attributes:
        channel_names: channels of a case, in order.
        spacing_mm: of the working grid along right, anterior, superior.
        normalisations: one per channel.
    """

    channel_names: tuple[str, ...]
    spacing_mm: PositiveSpacing
    normalisations: tuple[Normalisation, ...]

    @field_validator("normalisations")
    @classmethod
    def _one_per_channel(cls, values: tuple[Normalisation, ...], info: ValidationInfo) -> tuple[Normalisation, ...]:
        names = info.data.get("channel_names", ())
        if len(values) != len(names):
            raise ValueError(f"expected one for each of the {len(names)} channels, found {len(values)}")
        return values

    @classmethod
    def fit(
        cls,
        dataset: TrainingCases,
        cases: Sequence[str],
        settings: PreprocessingSettings,
        boxes: Mapping[str, Sequence[Box]] | None = None,
    ) -> Self:
        """Decide from the training cases.

        The spacing is the median over cases along each axis of space, however a file orders its axes. A CT's window
        (0.5 to 99.5 percentile), mean and standard deviation are of voxels drawn from the annotated objects' boxes,
        the same number from each case; without any box, from the valid regions.

        Args:
            dataset: where the cases are read from.
            cases: those that are trained on.
            settings: what the user chose.
            boxes: annotated objects of each case.

        Raises:
            InputError: if there are no cases, or one of them cannot be read.
        """
        if not cases:
            raise InputError("There are no cases to train on. Annotate at least one, or check splits.json.")
        spacing_mm = settings.spacing_mm
        if spacing_mm == "auto":
            spacing_mm = _median_spacing([dataset.read_grid(case) for case in cases])
        kinds = [_kind(name, settings) for name in dataset.channel_names]
        if "ct" in kinds:
            values = _training_voxels(dataset, cases, boxes or {})
            normalisations = tuple(
                ct_normalisation(values[index], name) if kind == "ct" else Normalisation(kind=kind)
                for index, (kind, name) in enumerate(zip(kinds, dataset.channel_names, strict=True))
            )
        else:
            normalisations = tuple(Normalisation(kind=kind) for kind in kinds)
        return cls(channel_names=dataset.channel_names, spacing_mm=spacing_mm, normalisations=normalisations)

    def apply(self, image: Image, name: str) -> PreprocessedImage:
        """Bring a case to the working grid.

        Intensities are normalised on the case's own voxels first. Where valid and invalid voxels meet in a coarser
        voxel, the valid ones alone make its intensity: no dark rim around the body.

        Args:
            image: the case as it was read.
            name: case or file, for messages.

        Raises:
            InputError: if the number of channels differs from the training cases', or a channel is constant.
        """
        self._require_channels(image, name)
        upright = canonical(image)
        valid = valid_region(upright.array)
        shape = self.working_shape(image)
        share = None if valid.all() else resample(valid, shape)
        working_valid = np.ones(shape, dtype=bool) if share is None else resample_mask(valid, shape)
        array = np.empty((len(upright.array), *shape), dtype=np.float32)
        for index, normalisation in enumerate(self.normalisations):
            channel = normalise(upright.array[index], valid, normalisation, f"{name}, {self.channel_names[index]}")
            array[index] = resample(channel, shape)
            if share is not None:
                array[index] /= np.where(working_valid, share, 1.0)
                array[index][~working_valid] = 0.0
        return PreprocessedImage(
            array,
            working_valid,
            resampled_affine(upright.affine, upright.shape, shape),
            Grid(upright.shape, upright.affine),
            Grid(image.shape, image.affine),
        )

    def apply_to_labels(self, labels: Volume) -> LabelArray:
        """Bring a target map to the working grid: the largest share decides.

        A voxel of the working grid is IGNORE unless the larger part of it is annotated.

        Args:
            labels: class indices and IGNORE on the case's own grid.

        Returns:
            (I, J, K) uint8, of the same shape as the image's.
        """
        return resample_labels(canonical(labels).array, self.working_shape(labels))

    def apply_to_probabilities(self, maps: Image) -> FloatArray:
        """Bring probability maps to the working grid by linear interpolation.

        Args:
            maps: (M, I, J, K) on the case's own grid.

        Returns:
            (M, I, J, K) float32, of the same shape as the image's.
        """
        shape = self.working_shape(maps)
        return np.stack([resample(each, shape) for each in canonical(maps).array])

    def apply_to_painted(self, labels: Volume) -> LabelArray:
        """As `apply_to_labels`, for what a person painted: a slice or a stroke of one voxel does not vanish."""
        return resample_painted(canonical(labels).array, self.working_shape(labels))

    def apply_to_box(self, box: Box, grid: OnGrid) -> Box:
        """Bring a box to the working grid: the voxels whose centres lie in it, at least one along each axis.

        Args:
            box: in voxels of the case's own grid.
            grid: of the case.
        """
        shape = self.working_shape(grid)
        start, stop = [0, 0, 0], [0, 0, 0]
        for axis, (place, direction) in enumerate(nib.orientations.io_orientation(grid.affine).astype(int)):
            size, low, high = grid.shape[axis], box[0][axis], box[1][axis]
            if direction < 0:
                low, high = size - high, size - low
            start[place], stop[place] = resampled_extent(low, high, size, shape[place])
        return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])

    def working_shape(self, grid: OnGrid) -> Shape3:
        """Voxels of a case on the working grid, from its own grid alone."""
        order = _right_anterior_superior(grid)
        shape = tuple(grid.shape[axis] for axis in order)
        return resampled_shape(shape, canonical_spacing(grid), self.spacing_mm)  # type: ignore[arg-type]

    def _require_channels(self, image: Image, name: str) -> None:
        if len(image.array) != len(self.channel_names):
            raise InputError(
                f"{name}: found {len(image.array)} channels, expected {len(self.channel_names)}: "
                f"{', '.join(self.channel_names)}, as the training cases have."
            )


def canonical_spacing(grid: OnGrid) -> Spacing:
    """Spacing of a grid along right, anterior, superior."""
    spacing_mm = spacing_of(grid.affine)
    right, anterior, superior = (spacing_mm[axis] for axis in _right_anterior_superior(grid))
    return right, anterior, superior


def _right_anterior_superior(grid: OnGrid) -> list[int]:
    """Array axes closest to right, anterior, superior."""
    return np.argsort(nib.orientations.io_orientation(grid.affine)[:, 0]).tolist()


def _median_spacing(grids: Sequence[Grid]) -> Spacing:
    right, anterior, superior = np.median([canonical_spacing(grid) for grid in grids], axis=0).tolist()
    return right, anterior, superior


def _kind(channel_name: str, settings: PreprocessingSettings) -> Kind:
    if settings.normalisation != "auto":
        return settings.normalisation
    return _KIND_OF_CHANNEL_NAME.get(channel_name.lower(), "zscore")


def _training_voxels(dataset: TrainingCases, cases: Sequence[str], boxes: Mapping[str, Sequence[Box]]) -> FloatArray:
    """Intensities (M, N) drawn at random from all cases; memory grows by `_CT_VOXELS_PER_CASE` with each."""
    in_boxes = any(boxes.get(case) for case in cases)
    rows = []
    for index, case in enumerate(track(cases, "Measuring intensities")):
        if in_boxes and not boxes.get(case):
            continue
        image = dataset.read_image(case)
        region = _box_mask(image.shape, boxes[case]) if in_boxes else valid_region(image.array)
        rows.append(drawn(image.array[:, region], _CT_VOXELS_PER_CASE, seed=index))
    return np.concatenate(rows, axis=1)


def _box_mask(shape: Shape3, boxes: Sequence[Box]) -> BoolArray:
    mask = np.zeros(shape, dtype=bool)
    for start, stop in boxes:
        mask[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))] = True
    return mask
