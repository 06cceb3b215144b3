"""NRRD and MetaImage files as plain arrays in nibabel's conventions, through SimpleITK.

SimpleITK's arrays are (K, J, I) and its positions LPS+; here everything is (I, J, K) and RAS+.
"""

import errno
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from voxseed.errors import InputError
from voxseed.files import atomic_path
from voxseed.types import FloatArray

SUFFIXES = (".nrrd", ".mha", ".mhd")

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: Path) -> tuple[np.ndarray, FloatArray]:
    """Voxels (I, J, K) and the affine to RAS+ mm."""
    import SimpleITK as sitk

    reader = _reader(path)
    _quiet(sitk)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _damaged(path, error) from None
    _require_one_component(path, image.GetNumberOfComponentsPerPixel())
    array = sitk.GetArrayFromImage(image)
    return array.transpose(), _affine(image)


def read_itk_grid(path: Path) -> tuple[tuple[int, ...], FloatArray]:
    """Shape (I, J, K) and affine to RAS+ mm from the header alone."""
    reader = _reader(path)
    _require_one_component(path, reader.GetNumberOfComponents())
    return tuple(reader.GetSize()), _affine(reader)


def write_itk(path: Path, array: np.ndarray, affine: FloatArray) -> None:
    """Write one compressed file; `path` ends in .nrrd or .mha."""
    import SimpleITK as sitk

    lps = _LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose()))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        # SimpleITK passes no error number on.
        is_full = shutil.disk_usage(path.parent).free < array.nbytes
        raise OSError(errno.ENOSPC if is_full else errno.EIO, _last_line(error)) from None


def write_mhd(path: Path, array: np.ndarray, affine: FloatArray) -> None:
    """Write a header and, beside it, its voxels (.zraw). Each is whole or not there; the header comes last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        header = Path(folder, path.name)
        write_itk(header, array, affine)
        for part in (header.with_suffix(".zraw"), header):
            with atomic_path(path.with_name(part.name)) as temporary:
                part.replace(temporary)


def _reader(path: Path) -> Any:
    """A reader that has read the header."""
    import SimpleITK as sitk

    _quiet(sitk)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _damaged(path, error) from None
    return reader


def _affine(image: Any) -> FloatArray:
    """Affine to RAS+ of an image or a reader of 3D; the identity for other dimensions, which are refused later."""
    spacing, origin = np.array(image.GetSpacing()), np.array(image.GetOrigin())
    if len(spacing) != 3:
        return np.eye(4)
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * spacing
    lps[:3, 3] = origin
    return _LPS_TO_RAS @ lps


def _quiet(sitk: Any) -> None:
    """ITK writes warnings straight to stderr; what matters comes back as an exception."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)


def _require_one_component(path: Path, count: int) -> None:
    if count != 1:
        raise InputError(
            f"{path}: {count} values per voxel, expected one. "
            "Store each channel in a file of its own: CASE_0000, CASE_0001."
        )


def _damaged(path: Path, error: RuntimeError) -> InputError:
    found = f"not an image, or truncated ({_last_line(error)})" if path.stat().st_size else "an empty file"
    return InputError(f"{path}: {found}. Copy or export the file again.")


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
