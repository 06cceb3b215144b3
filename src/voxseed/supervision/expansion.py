"""Geodesic expansion: from the points on one object to how far each voxel of its box is from being inside it.

Zhai et al. 2023 (PA-Seg), section III-A.2, Eq. 1 and 2, and a growth from both sides of our own.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.ndimage import gaussian_filter

from voxseed.settings import Settings
from voxseed.supervision.boxes import VoxelBox
from voxseed.supervision.geodesic import geodesic_distance
from voxseed.supervision.probability_settings import ProbabilitySettings
from voxseed.types import BoolArray, FloatArray, LabelArray, Shape3, Spacing

_MAD_TO_SD: Final = 1.4826
_LENGTH_SCALES_PER_DIAGONAL: Final = 10


class ExpansionSettings(Settings):
    """How points are grown into labelled regions."""

    growth: Literal["one-sided", "two-sided"] = Field(
        "two-sided",
        description="one-sided: foreground grows from the inside points and the rest of the box stays unlabelled, "
        "as in PA-Seg; two-sided: background grows from the faces of the box as well",
    )
    epsilon: float = Field(
        0.2, gt=0, le=1, description="one-sided: foreground is nearer than this share of the box's largest distance"
    )
    foreground_threshold: float = Field(
        0.55, gt=0, lt=1, description="two-sided: foreground below this share of inside distance in inside + outside"
    )
    background_threshold: float = Field(
        0.75, gt=0, lt=1, description="two-sided: background above this share of inside distance in inside + outside"
    )
    gradient_weight: float = Field(
        0.8, ge=0, le=1, description="lambda: 1 counts intensity changes along the path alone, 0 its length alone"
    )
    combine: Literal["sum", "quadrature"] = Field(
        "quadrature", description="how length and intensity change of a step are put together"
    )
    smoothing: float = Field(
        0.1,
        ge=0,
        description="standard deviation of a Gaussian that the image is smoothed with before growing, "
        "as a share of the unit of length, which is a tenth of the box's diagonal",
    )
    probability: ProbabilitySettings = ProbabilitySettings()

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Self:
        if self.foreground_threshold > self.background_threshold:
            raise ValueError("foreground_threshold must not be above background_threshold")
        return self

    @property
    def foreground_limit(self) -> float:
        """Below it, a ratio of `grow_object` means foreground."""
        return self.epsilon if self.growth == "one-sided" else self.foreground_threshold

    @property
    def background_limit(self) -> float:
        """Above it, a ratio of `grow_object` means background; never, one-sided."""
        return np.inf if self.growth == "one-sided" else self.background_threshold


def grow_object(
    image: FloatArray,
    valid: BoolArray,
    spacing_mm: Spacing,
    box: VoxelBox,
    inside: LabelArray,
    outside: LabelArray,
    settings: ExpansionSettings,
    faces_inside: bool = False,
) -> NDArray[np.float32]:
    """How far each voxel of an object's box is from its inside points, from 0 (near) to 1.

    D is the geodesic distance from the inside points over valid voxels of the box that the outside points span. One-
    sided, the result is D / D_max, D_max the largest there. Two-sided, it is ρ = D / (D + D_b) with D_b the distance
    from every outside point and from the layer of voxels around the object's box (its shell). Where the box ends at a
    face of the volume there is no shell, and outside points in the outermost voxels of the volume do not count: the
    object may go on there.

    The result does not depend on the scale or offset of the intensities of any channel. Its cost is that of the box.

    Args:
        image: (M, I, J, K).
        valid: (I, J, K); other voxels cannot be crossed.
        spacing_mm: along each axis.
        box: the voxels that the object may have.
        inside: (N, 3) voxel indices in the box.
        outside: (N, 3) voxel indices known not to be the object.
        settings: the growth.
        faces_inside: whether the outside points span `box` itself (extreme points), and not one with its shell.

    Returns:
        The shape of `box`, float32; NaN where it is undefined: no path from the inside points, or, two-sided,
        none from outside. 0 at the inside points that are valid.
    """
    with_shell = box.with_shell(valid.shape)
    spanned = box if faces_inside else with_shell
    region = spanned if settings.growth == "one-sided" else with_shell
    distance_from = _distance_in(image, valid, spacing_mm, region, spanned, settings)
    inside_seeds = _marked(region, inside)
    from_inside = distance_from(seeds=inside_seeds)
    if settings.growth == "one-sided":
        ratio = _share_of_largest(from_inside)
    else:
        outside_seeds = _outside_seeds(region, box, outside, valid.shape) & ~inside_seeds
        ratio = _share_of_both(from_inside, distance_from(seeds=outside_seeds))
    ratio[inside_seeds & valid[region.slices]] = 0
    return np.ascontiguousarray(ratio[box.within(region).slices])


def intensity_scales(image: FloatArray, valid: BoolArray) -> FloatArray:
    """Robust spread of each channel over valid voxels: 1.4826 times the median absolute deviation.

    Where that is 0, because more than half of the voxels are equal, it is the standard deviation; where that is 0 too,
    inf: a constant channel has no gradient to weigh.

    Args:
        image: (M, I, J, K).
        valid: (I, J, K).

    Returns:
        (M,) float64.
    """
    values = image[:, valid].astype(np.float64)
    if values.size == 0:
        return np.full(len(image), np.inf)
    deviations = np.abs(values - np.median(values, axis=1, keepdims=True))
    scales = _MAD_TO_SD * np.median(deviations, axis=1)
    scales = np.where(scales > 0, scales, values.std(axis=1))
    return np.where(scales > 0, scales, np.inf)


def _distance_in(
    image: FloatArray,
    valid: BoolArray,
    spacing_mm: Spacing,
    region: VoxelBox,
    spanned: VoxelBox,
    settings: ExpansionSettings,
) -> Callable[..., NDArray[np.float32]]:
    """Geodesic distance in a region, in units of the spanned box; Euclidean in a constant image."""
    length_scale_mm = float(np.linalg.norm(np.array(spanned.shape) * spacing_mm)) / _LENGTH_SCALES_PER_DIAGONAL
    image, valid = _centred(image[(slice(None), *region.slices)], valid[region.slices]), valid[region.slices]
    image = smoothed(image, valid, settings.smoothing * length_scale_mm / np.array(spacing_mm))
    measured = spanned.within(region).slices
    scales = intensity_scales(image[(slice(None), *measured)], valid[measured])
    return partial(
        geodesic_distance,
        image=image,
        valid=valid,
        spacing_mm=spacing_mm,
        gradient_weight=settings.gradient_weight if np.isfinite(scales).any() else 0.0,
        length_scale_mm=length_scale_mm,
        intensity_scale=scales,
        combine=settings.combine,
    )


def _centred(image: FloatArray, valid: BoolArray) -> FloatArray:
    """Less the median of each channel: single precision would lose small differences of large values."""
    if not valid.any():
        return image
    return image - np.median(image[:, valid], axis=1)[:, None, None, None]


def smoothed(image: FloatArray, valid: BoolArray, sigma_voxels: FloatArray) -> FloatArray:
    """Gaussian mean over valid voxels: noise would make every path long, and walls no longer than others.

    Args:
        image: (M, I, J, K).
        valid: (I, J, K); what lies elsewhere has no weight.
        sigma_voxels: (3,) standard deviation along each axis; 0 returns the image as it is.
    """
    if not sigma_voxels.any():
        return image
    weight = gaussian_filter(valid.astype(np.float32), sigma_voxels, mode="nearest")
    means = [
        gaussian_filter(np.where(valid, channel, 0).astype(np.float32), sigma_voxels, mode="nearest")
        for channel in image
    ]
    return np.stack(means) / np.maximum(weight, np.finfo(np.float32).tiny)


def _share_of_largest(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """D / D_max over what was reached; NaN elsewhere, and where D_max is 0."""
    reached = np.isfinite(distance)
    largest = distance.max(initial=0, where=reached)
    return np.where(reached & (largest > 0), distance / max(largest, np.finfo(np.float32).tiny), np.float32(np.nan))


def _share_of_both(from_inside: NDArray[np.float32], from_outside: NDArray[np.float32]) -> NDArray[np.float32]:
    """D / (D + D_b) where both were reached; NaN elsewhere, and where both are 0."""
    total = from_inside + from_outside
    return np.divide(from_inside, total, out=np.full_like(total, np.nan), where=np.isfinite(total) & (total > 0))


def _outside_seeds(region: VoxelBox, box: VoxelBox, outside: LabelArray, shape: Shape3) -> BoolArray:
    """The shell of the box, and outside points in the box that are not on a face of the volume."""
    last = np.array(shape) - 1
    on_face = ((last > 0) & ((outside <= 0) | (outside >= last))).any(axis=1)
    seeds = _marked(region, outside[box.contains(outside) & ~on_face])
    shell = np.ones(region.shape, dtype=bool)
    shell[box.within(region).slices] = False
    return seeds | shell


def _marked(region: VoxelBox, voxels: LabelArray) -> BoolArray:
    """True at the given voxels of the volume, in the shape of the region."""
    mask = np.zeros(region.shape, dtype=bool)
    mask[tuple((voxels - region.start).T)] = True
    return mask
