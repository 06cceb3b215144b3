"""The valid region: everything except the constant background that surrounds what was scanned."""

import numpy as np
from scipy import ndimage

from voxseed.types import BoolArray

MIN_FACE_SHARE = 0.02
"""Least share of the volume's faces that solid background must cover: the margins left by distortion correction cover
3 to 9 %, the corners around a circular field of view 30 %."""

WINDOW_VOXELS = 5
MIN_SOLIDITY = 0.9
"""Background is solid where at least this share of the window around a voxel has the background value."""

MIN_SOLID_SHARE = 0.4
"""Least share of the background value on the faces that must be solid; real margins have 0.44 to 0.9. Noisy dark air,
whose commonest value can cover most of the faces, has less unless nine tenths of it are one value."""


def valid_region(image: np.ndarray) -> BoolArray:
    """False on the constant background that touches the volume's faces.

    The background value of a channel is the commonest value on the six faces. Background is where all channels have
    their value, nearly without gaps (`MIN_SOLIDITY`), connected (26 neighbours) to a face. It must cover enough of the
    faces (`MIN_FACE_SHARE`, `MIN_SOLID_SHARE`), or there is none: better some padding taken for tissue than air eaten
    by holes. Specks inside it belong to it. Margins thinner than three voxels stay valid.

    Args:
        image: (M, I, J, K).

    Returns:
        (I, J, K). All True where there is no such background, and where there is nothing else.
    """
    constant = np.logical_and.reduce([channel == _commonest(_faces(channel)) for channel in image])
    everything = np.ones_like(constant)
    constant_share = _faces(constant).mean()
    if constant_share < MIN_FACE_SHARE:
        return everything
    solid = ndimage.uniform_filter(constant.astype(np.float32), WINDOW_VOXELS) > MIN_SOLIDITY
    solid = _touching_faces(solid)
    if _faces(solid).mean() < max(MIN_FACE_SHARE, MIN_SOLID_SHARE * constant_share):
        return everything
    # A voxel next to tissue has no solid window of its own, so the background reaches as far as its windows do.
    reached = ndimage.maximum_filter(solid, WINDOW_VOXELS) & constant
    valid = _without_specks(~(solid | reached))
    return valid if valid.any() else everything


def _faces(volume: np.ndarray) -> np.ndarray:
    """Voxels of the six faces in one row; those on edges occur more than once."""
    return np.concatenate([volume.take([0, -1], axis).ravel() for axis in range(3)])


def _commonest(values: np.ndarray) -> np.generic:
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()]


def _touching_faces(mask: BoolArray) -> BoolArray:
    components, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    touching = np.zeros(components.max() + 1, dtype=bool)
    touching[_faces(components)] = True
    touching[0] = False
    return touching[components]


def _without_specks(mask: BoolArray) -> BoolArray:
    """Drop parts (6 neighbours) that are smaller than the window."""
    components, _ = ndimage.label(mask)
    large = np.bincount(components.ravel()) >= WINDOW_VOXELS**3
    large[0] = False
    return large[components]
