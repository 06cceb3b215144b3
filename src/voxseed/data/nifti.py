"""NIfTI files as plain arrays: header and voxels, checked to the last byte."""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
from isal import igzip, igzip_lib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from voxseed.errors import InputError
from voxseed.types import FloatArray

SUFFIXES = (".nii", ".nii.gz")

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # NIfTI's codes of metre and micrometre; without a unit mm is meant
_SPACE_UNIT_BITS = 0x07
_ISAL_ERROR: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub calls it an instance
_DAMAGE = (
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    EOFError,
    OSError,
    zlib.error,
    _ISAL_ERROR,
    ValueError,
    OverflowError,
    MemoryError,
)


def read_nifti(path: Path) -> tuple[np.ndarray, FloatArray]:
    """Voxels with the header's scaling applied, and the affine to RAS+ mm (sform, else qform).

    Everything is decompressed before anything is used, so that gzip's checksum is verified:
    a file damaged in the middle is found here and not taken for an image.
    """
    with _damage_reported(path):
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = igzip.decompress(content)
        image = _image_class(path, content[:4]).from_bytes(content)
        array = np.asanyarray(image.dataobj)
        return array, _affine_mm(image.header)


def read_nifti_grid(path: Path) -> tuple[tuple[int, ...], FloatArray]:
    """Shape and affine to RAS+ mm from the header alone.

    Of a file that is not compressed, the size tells whether all voxels are there.
    """
    with _damage_reported(path), path.open("rb") as raw:
        with _decompressing(raw) as file:
            image_class = _image_class(path, file.read(4))
            file.seek(0)
            header = image_class.header_class.from_fileobj(file)
        if file is raw:
            _require_voxels(path, header)
        return header.get_data_shape(), _affine_mm(header)


def write_nifti(path: Path, array: np.ndarray, affine: FloatArray) -> None:
    """Write with sform and qform; a qform holds no shear, so of a sheared affine it is the nearest."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _affine_mm(header: Any) -> FloatArray:
    affine = np.array(header.get_best_affine(), dtype=np.float64)
    affine[:3] *= _MM_PER_UNIT.get(int(header["xyzt_units"]) & _SPACE_UNIT_BITS, 1.0)
    return affine


def _image_class(path: Path, start: bytes) -> Any:
    for byte_order in ("little", "big"):
        image_class = _HEADER_BYTES.get(int.from_bytes(start, byte_order))
        if image_class is not None:
            return image_class
    found = "not a NIfTI image; expected one" if start else "an empty file; expected a NIfTI image"
    raise InputError(f"{path}: {found}, because of its name. Export the volume again.")


def _require_voxels(path: Path, header: Any) -> None:
    count = math.prod(header.get_data_shape())
    expected = int(header.get_data_offset()) + count * int(header.get_data_dtype().itemsize)
    found = path.stat().st_size
    if found < expected:
        raise InputError(f"{path}: truncated, {found} bytes of {expected}. Copy or export the file again.")


def _decompressing(raw: BinaryIO) -> BinaryIO | gzip.GzipFile:
    start = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if start == _GZIP_MAGIC else raw


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise
    except _DAMAGE as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: truncated or damaged ({detail}). Copy or export the file again.") from None
