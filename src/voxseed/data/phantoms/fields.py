"""Random shapes and fields on a grid, in mm: what anatomy and lesions are made of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from voxseed.types import BoolArray, FloatArray, Shape3, Spacing

_SHARPNESS = 6.0
"""Of the borders between balls that melt into one body; infinity is their plain union."""


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
    def affine(self) -> FloatArray:
        """(4, 4), to RAS+ mm: axes to the right, to the front and up, the middle of the grid at 0."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = self.positions_mm[:, 0, 0, 0]
        return affine

    def indices(self, points_mm: FloatArray) -> tuple[np.ndarray, ...]:
        """Voxels nearest to points (N, 3), clipped to the grid: three arrays (N,), ready to index with."""
        middle = (np.array(self.shape) - 1) / 2
        nearest = np.rint(points_mm / np.array(self.spacing_mm) + middle).astype(int)
        return tuple(np.clip(nearest, 0, np.array(self.shape) - 1).T)

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


def body_level(positions_mm: FloatArray, path_mm: FloatArray, radii_mm: FloatArray) -> FloatArray:
    """Level of a body made of balls that melt into each other: positive inside, falling outwards.

    Args:
        positions_mm: (3, N), where to evaluate.
        path_mm: (P, 3), centres.
        radii_mm: (P,).

    Returns:
        (N,).
    """
    offsets = positions_mm[None] - path_mm[:, :, None]
    levels = 1 - np.sqrt(np.square(offsets).sum(axis=1)) / radii_mm[:, None]
    return np.log(np.exp(_SHARPNESS * levels).sum(axis=0)) / _SHARPNESS


def largest_component(mask: BoolArray) -> BoolArray:
    """The largest face-connected part of a mask; an empty mask stays empty."""
    components, count = ndimage.label(mask)
    if count == 0:
        return mask
    return components == 1 + np.bincount(components.ravel())[1:].argmax()
