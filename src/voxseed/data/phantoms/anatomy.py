"""A head: scalp, skull, fluid, folded cortex, white matter, deep nuclei and ventricles."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from voxseed.data.phantoms.fields import Frame, noise_field
from voxseed.types import BoolArray, FloatArray, LabelArray

HEAD_RADII_MM = (62.0, 75.0, 66.0)
CENTRE_BELOW_MM = 9.0
"""The head's centre lies this far below the middle of the grid: the neck end is cut off, the crown is not."""
SCALP_MM = 6.0
SKULL_MM = 6.0
FLUID_MM = 3.0
CORTEX_MM = 5.0


class Tissue(IntEnum):
    """What a voxel consists of; a tuple of one value per tissue is indexed by it."""

    AIR = 0
    SCALP = 1
    SKULL = 2
    FLUID = 3
    GREY = 4
    WHITE = 5


@dataclass(frozen=True)
class Head:
    """One head on its grid.

    Attributes:
        frame: the grid.
        tissue: (I, J, K), values of `Tissue`.
        brain: (I, J, K), everything inside the fluid around the brain, sulci and ventricles included.
        ventricles: (I, J, K).
    """

    frame: Frame
    tissue: LabelArray
    brain: BoolArray
    ventricles: BoolArray


def make_head(frame: Frame, rng: np.random.Generator) -> Head:
    """A head of random size, pose and folding."""
    positions = _in_head(frame, rng)
    radii = np.array(HEAD_RADII_MM) * rng.uniform(0.92, 1.05, 3)
    # Distance to the surface, exact enough for an ellipsoid that is nearly a ball.
    relative = np.linalg.norm(positions / radii[:, None, None, None], axis=0)
    inside_mm = (1 - relative) * radii.mean()
    tissue = np.zeros(frame.shape, dtype=np.uint8)
    depth = 0.0
    for layer, thickness_mm in ((Tissue.SCALP, SCALP_MM), (Tissue.SKULL, SKULL_MM), (Tissue.FLUID, FLUID_MM)):
        tissue[inside_mm > depth] = layer
        depth += thickness_mm * rng.uniform(0.85, 1.15)
    brain = inside_mm > depth
    ventricles = _ventricles(positions, rng) & brain
    solid = brain & ~_sulci(frame, positions, inside_mm - depth, rng)
    tissue[solid] = Tissue.WHITE
    tissue[solid & (frame.depth_mm(solid) < CORTEX_MM)] = Tissue.GREY
    tissue[_nuclei(positions) & brain] = Tissue.GREY
    tissue[ventricles] = Tissue.FLUID
    return Head(frame, tissue, brain, ventricles)


def _in_head(frame: Frame, rng: np.random.Generator) -> FloatArray:
    """Positions in the head's own axes, (3, I, J, K) in mm: moved, turned and gently bent."""
    positions = frame.positions_mm + np.array([0, 0, CENTRE_BELOW_MM])[:, None, None, None]
    positions = positions - rng.uniform(-3, 3, 3)[:, None, None, None]
    yaw, roll = np.deg2rad(rng.uniform(-8, 8, 2))
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    tilt = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    bent = np.stack([noise_field(frame, rng, sigma_mm=24) for _ in range(3)])
    return np.einsum("ab,bijk->aijk", turn @ tilt, positions) + 2.0 * bent


def _sulci(frame: Frame, positions: FloatArray, below_surface_mm: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Thin folds that reach into the brain, and the fissure between the hemispheres."""
    folds = np.abs(noise_field(frame, rng, sigma_mm=7)) < 0.17
    x, _, z = positions
    fissure = (np.abs(x) < 1.8) & ((z > 8) | (below_surface_mm < 14))
    return (folds & (below_surface_mm < 20)) | fissure


def _ventricles(positions: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Two lateral ventricles: bent, longer than wide, mirrored."""
    x, y, z = positions
    size = rng.uniform(0.8, 1.25)
    outward = 10 + 0.006 * y**2
    across = (np.abs(x) - outward) / (5.5 * size)
    return across**2 + (y / (27 * size)) ** 2 + ((z - 7 + 0.004 * y**2) / (8 * size)) ** 2 < 1


def _nuclei(positions: FloatArray) -> BoolArray:
    """Deep grey matter on both sides below the ventricles."""
    x, y, z = positions
    return ((np.abs(x) - 20) / 8) ** 2 + ((y - 3) / 15) ** 2 + ((z + 8) / 9) ** 2 < 1
