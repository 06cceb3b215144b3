"""Random shapes and fields on a grid, in mm: what anatomy and lesions are made of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from voxseed.types import BoolArray, FloatArray, Shape3, Spacing

_BLEND = 0.7
"""How softly balls along a path melt into one body, as a share of their radius."""


@dataclass(frozen=True)
class Frame:
    """The voxel grid of a phantom.

    Attributes:
        shape: voxels along (I, J, K).
        spacing_mm: between voxel centres.
    """

    shape: Shape3
    spacing_mm: Spacing

    @cached_property
    def positions_mm(self) -> FloatArray:
        """(3, I, J, K): voxel centres, the middle of the grid at 0; x to the right, y to the front, z up."""
        axes = [(np.arange(n) - (n - 1) / 2) * d for n, d in zip(self.shape, self.spacing_mm, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000

    def smooth(self, field: FloatArray, sigma_mm: float) -> FloatArray:
        """Gaussian filter with the same width in mm along every axis."""
        return ndimage.gaussian_filter(field, [sigma_mm / d for d in self.spacing_mm], mode="nearest")

    def depth_mm(self, mask: BoolArray) -> FloatArray:
        """Distance from each voxel of the mask to the nearest voxel outside it, 0 outside."""
        return ndimage.distance_transform_edt(mask, sampling=self.spacing_mm)

    def distance_mm(self, mask: BoolArray) -> FloatArray:
        """Distance from each voxel to the nearest of the mask."""
        return ndimage.distance_transform_edt(~mask, sampling=self.spacing_mm)


def noise_field(frame: Frame, rng: np.random.Generator, sigma_mm: float) -> FloatArray:
    """Smooth random field with mean 0 and standard deviation 1: (I, J, K)."""
    field = frame.smooth(rng.standard_normal(frame.shape), sigma_mm)
    return (field - field.mean()) / field.std()


def random_direction(rng: np.random.Generator) -> FloatArray:
    """Unit vector, uniform on the sphere: (3,)."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def bent_path(rng: np.random.Generator, start_mm: FloatArray, length_mm: float, bend: float, points: int) -> FloatArray:
    """Points along a path that turns at random.

    Args:
        start_mm: (3,), its middle.
        length_mm: along the path.
        bend: 0 for straight; about 1 turns by a right angle.
        points: how many.

    Returns:
        (points, 3).
    """
    direction = random_direction(rng)
    turn = np.cross(direction, random_direction(rng))
    along = np.linspace(-0.5, 0.5, points)[:, None]
    return start_mm + length_mm * (along * direction + bend * (along**2 - 1 / 12) * 2 * turn)


def body_along(frame: Frame, path_mm: FloatArray, radii_mm: FloatArray) -> FloatArray:
    """Level of a body made of balls that melt into each other: about distance/radius from its surface, positive inside.

    Args:
        path_mm: (N, 3), centres.
        radii_mm: (N,).

    Returns:
        (I, J, K).
    """
    offsets = frame.positions_mm[None] - path_mm[:, :, None, None, None]
    levels = 1 - np.linalg.norm(offsets, axis=1) / radii_mm[:, None, None, None]
    sharpness = 4 / _BLEND
    return np.log(np.exp(sharpness * levels).sum(axis=0)) / sharpness


def tube_mask(frame: Frame, path_mm: FloatArray, radius_mm: float) -> BoolArray:
    """Voxels within the radius of a path given by points: (I, J, K)."""
    mask = np.zeros(frame.shape, dtype=bool)
    for point in path_mm:
        offsets = frame.positions_mm - point[:, None, None, None]
        mask |= np.square(offsets).sum(axis=0) < radius_mm**2
    return mask


def largest_component(mask: BoolArray) -> BoolArray:
    """The largest face-connected part of a mask; an empty mask stays empty."""
    components, count = ndimage.label(mask)
    if count == 0:
        return mask
    return components == 1 + np.bincount(components.ravel())[1:].argmax()
