"""Volumes: 3D images with their affines, read from and written to NIfTI, NRRD and MetaImage.

Arrays are (I, J, K) and affines map voxel indices to RAS+ mm, as nibabel has them, whatever the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import nibabel as nib
import numpy as np

from voxseed.data import itk_files, nifti
from voxseed.data.grids import Grid, OnGrid, same_grid, spacing_of
from voxseed.errors import InputError, ShapeError
from voxseed.files import atomic_path, writing
from voxseed.types import FloatArray, Shape3, Spacing

__all__ = [
    "SUFFIXES",
    "Grid",
    "Image",
    "OnGrid",
    "Volume",
    "canonical",
    "canonical_view",
    "like",
    "read_as_stored",
    "read_grid",
    "read_label",
    "read_volume",
    "require_finite",
    "same_grid",
    "spacing_of",
    "suffix_of",
    "write_volume",
]

SUFFIXES = (*nifti.SUFFIXES, *itk_files.SUFFIXES)
"""Endings of the files that can be read and written."""

_INTEGER_TOLERANCE = 1e-4
_INTEGER_TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64)


@dataclass(frozen=True)
class Volume:
    """A 3D image and where it lies.

    Attributes:
        array: (I, J, K).
        affine: (4, 4) float64, maps (i, j, k, 1) to RAS+ mm.
    """

    array: np.ndarray
    affine: FloatArray

    @property
    def shape(self) -> Shape3:
        """Voxels along (I, J, K)."""
        return self.array.shape

    @property
    def spacing_mm(self) -> Spacing:
        """Distance between neighbouring voxel centres along each axis, from the full affine."""
        return spacing_of(self.affine)


@dataclass(frozen=True)
class Image:
    """All channels of a case on one grid.

    Attributes:
        array: (M, I, J, K) float32, M channels.
        affine: (4, 4) float64, maps (i, j, k, 1) to RAS+ mm.
    """

    array: FloatArray
    affine: FloatArray

    @property
    def shape(self) -> Shape3:
        """Voxels along (I, J, K), without the channels."""
        return self.array.shape[1:]

    @property
    def spacing_mm(self) -> Spacing:
        """Distance between neighbouring voxel centres along each axis."""
        return spacing_of(self.affine)


V = TypeVar("V", Volume, Image)


def read_volume(path: str | Path) -> Volume:
    """Read a 3D image; integers keep their type, everything else becomes float32.

    Raises:
        InputError: if the file is missing, truncated, no image, not 3D, or of an unknown suffix.
    """
    volume = read_as_stored(path)
    return replace(volume, array=np.ascontiguousarray(volume.array))


def read_as_stored(path: str | Path) -> Volume:
    """As `read_volume`, with voxels in memory in the order of the file, which saves a copy.

    Raises:
        InputError: as `read_volume`.
    """
    path = Path(path)
    is_nifti = _is_nifti(path)
    _require_file(path)
    with _access_reported(path):
        array, affine = nifti.read_nifti(path) if is_nifti else itk_files.read_itk(path)
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"{path}: voxels of type {array.dtype}, expected one number per voxel. Export it in grey values."
        )
    grid = _grid(path, array.shape, affine)
    kept = array.dtype.newbyteorder("=") if array.dtype.kind in "iu" else np.float32
    return Volume(array.reshape(grid.shape, order="A").astype(kept, copy=False), grid.affine)


def read_grid(path: str | Path) -> Grid:
    """Read where an image lies from its header, without its voxels.

    Raises:
        InputError: as `read_volume`.
    """
    path = Path(path)
    is_nifti = _is_nifti(path)
    _require_file(path)
    with _access_reported(path):
        shape, affine = nifti.read_nifti_grid(path) if is_nifti else itk_files.read_itk_grid(path)
    return _grid(path, shape, affine)


def read_label(path: str | Path) -> Volume:
    """Read a label map into the smallest integer type that holds it.

    Raises:
        InputError: as `read_volume`, and if a value is not an integer.
    """
    volume = read_volume(path)
    if volume.array.dtype.kind == "f":
        whole = np.rint(volume.array)
        with np.errstate(invalid="ignore"):  # infinity minus infinity, which is wrong as it should be
            wrong = ~(np.abs(volume.array - whole) <= _INTEGER_TOLERANCE)
        if wrong.any():
            raise InputError(
                f"{path}: a label map has integer values, {int(wrong.sum())} voxels have not, the first has "
                f"{volume.array[wrong][0]:g}. If it was resampled, resample it again with nearest neighbour."
            )
        volume = replace(volume, array=whole.astype(np.int64))
    return replace(volume, array=_storable(volume.array))


def require_finite(volume: Volume, path: str | Path) -> None:
    """Check that every voxel is a number.

    Raises:
        InputError: if any is NaN or infinite.
    """
    count = volume.array.size - int(np.isfinite(volume.array).sum())
    if count:
        raise InputError(
            f"{path}: {count} voxels are NaN or infinite, expected numbers. "
            "Replace them, for example by the smallest number."
        )


def write_volume(path: str | Path, volume: Volume) -> None:
    """Write a volume, atomically, in the format of the suffix.

    Integers are stored in the smallest type that holds them (label maps: uint8), anything else as float32.

    Raises:
        InputError: if the suffix is unknown, or the place is full or not writable.
    """
    path = Path(path)
    is_nifti = _is_nifti(path)
    array = _storable(volume.array)
    with writing(path):
        if path.name.lower().endswith(".mhd"):
            itk_files.write_mhd(path, array, volume.affine)
            return
        write = nifti.write_nifti if is_nifti else itk_files.write_itk
        with atomic_path(path) as temporary:
            write(temporary, array, volume.affine)


def canonical(volume: V) -> V:
    """Permute and flip the axes so that they run closest to right, anterior, superior. Nothing is resampled."""
    return _contiguous(canonical_view(volume))


def canonical_view(volume: V) -> V:
    """As `canonical`, without a copy."""
    return _reordered(volume, nib.orientations.io_orientation(volume.affine))


def like(volume: V, reference: OnGrid) -> V:
    """Bring a volume back to the axis order of a reference on the same grid; undoes `canonical`.

    Raises:
        ShapeError: if the two grids differ in more than the order and direction of their axes.
    """
    steps = np.linalg.inv(reference.affine[:3, :3]) @ volume.affine[:3, :3]
    axes = np.abs(steps).argmax(axis=0)
    if sorted(axes) != [0, 1, 2]:
        raise ShapeError("Expected the reference's grid up to the order of its axes, found axes that fit none of it.")
    flips = np.sign(steps[axes, range(3)])
    result = _contiguous(_reordered(volume, np.column_stack([axes, flips])))
    if not same_grid(result, reference):
        raise ShapeError(
            f"Expected the grid of the reference, shape {reference.shape}, "
            f"found shape {result.shape} or another position."
        )
    return replace(result, affine=np.array(reference.affine))


def suffix_of(path: str | Path) -> str | None:
    """The known suffix that a file name ends in, or None."""
    name = Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def _reordered(volume: V, orientation: np.ndarray) -> V:
    """Apply nibabel's orientation array, (3, 2) of output axis and flip, to the last three axes; a view."""
    first: int = volume.array.ndim - 3
    flipped = np.flip(volume.array, tuple(first + axis for axis in range(3) if orientation[axis, 1] < 0))
    order = [*range(first), *(first + np.argsort(orientation[:, 0]))]
    affine = volume.affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape)
    return replace(volume, array=flipped.transpose(order), affine=affine)


def _contiguous(volume: V) -> V:
    return replace(volume, array=np.ascontiguousarray(volume.array))


def _grid(path: Path, shape: tuple[int, ...], affine: FloatArray) -> Grid:
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise InputError(
            f"{path}: expected a 3D volume, found shape {tuple(shape)}. "
            "Give one volume per file: slices stacked, one time point, each channel apart (CASE_0000, CASE_0001)."
        )
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise InputError(
            f"{path}: its affine does not span space, so positions are unknown. Export it with its geometry."
        )
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), np.asarray(affine, dtype=np.float64))


def _require_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file.")
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected an image file. Give the files in it.")


def _is_nifti(path: Path) -> bool:
    suffix = suffix_of(path)
    if suffix is None:
        raise InputError(
            f"{path}: unknown kind of file; expected a name ending in {', '.join(SUFFIXES)}. "
            "Convert it first (DICOM series: voxseed dataset import)."
        )
    return suffix in nifti.SUFFIXES


def _storable(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iub":
        return np.asarray(array, dtype=np.float32)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    smallest = next(t for t in _INTEGER_TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return array.astype(smallest, copy=False)


@contextmanager
def _access_reported(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
