"""DICOM files that are damaged: found in their headers and sizes, and refused by name."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.errors import BytesLengthException
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from voxseed.errors import InputError

_IMAGE_KIND = "Image Storage"
"""In the names of all kinds that always have an image, and of no others."""
_UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_IMPLICIT_BYTES, _EXPLICIT_BYTES = 8, 12
"""Of an element before its value: tag, length, and the kind of value if it is said."""
_DAMAGE = (
    BytesLengthException,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    struct.error,
    zlib.error,
)


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn what cannot be read, or read as DICOM, into a sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except _DAMAGE as error:
        detail = " ".join(str(error).split()).partition(". ")[0]  # pydicom's advice to programmers follows
        raise InputError(f"{path}: a damaged DICOM file ({detail}). Export it again.") from None


def is_uncompressed(header: Any) -> bool:
    """Whether pixels are stored as they are; so they are in files without meta information."""
    return header.file_meta.get("TransferSyntaxUID") in (None, *_UNCOMPRESSED)


def frame_count(header: Any) -> int:
    """How many slices are in a file; 1 if it does not say."""
    return int(header.get("NumberOfFrames") or 1)


def require_pixels(path: Path, header: Any, left_bytes: int) -> None:
    """Check that a file is long enough for its pixels, where their size follows from the header.

    Raises:
        InputError: if it is not.
    """
    if not is_uncompressed(header):
        return
    is_implicit, _ = header.original_encoding
    found = max(left_bytes - (_IMPLICIT_BYTES if is_implicit else _EXPLICIT_BYTES), 0)
    expected = -(-int(header.Rows) * int(header.Columns) * frame_count(header) * int(header.BitsAllocated) // 8)
    if found < expected:
        raise InputError(
            f"{path}: {found} bytes of pixels, expected {expected}; the file was cut. Copy it or export it again."
        )


def require_no_slice(path: Path, header: Any) -> None:
    """Check that what is no scan is none because its header was cut.

    Raises:
        InputError: if it is of a kind that has an image, or of none, but does not say how large the image is.
    """
    if "Rows" in header:
        return
    meta = header.file_meta
    after_kind, place = ("TransferSyntaxUID", meta) if header.preamble else ("SOPInstanceUID", header)
    if after_kind not in place:  # so the kind itself may be cut
        raise InputError(f"{path}: a DICOM file that was cut near its beginning. Export it again.")
    kind = str(UID(meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID") or "").name)
    if _IMAGE_KIND in kind:
        raise InputError(f"{path}: {kind}, but its header ends before the size of the image. Export it again.")
