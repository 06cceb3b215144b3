"""DICOM headers: which files are images, and where each of their slices lies."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom

from voxseed.data.sources.base import is_dicom
from voxseed.data.sources.dicom_damage import damage_reported, frame_count, require_no_slice, require_pixels
from voxseed.errors import InputError
from voxseed.progress import track

_HEADER_TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "ImageType",
    "PatientID",
    "StudyDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "InstanceNumber",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "BitsAllocated",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_NO_IMAGES = ("SEG", "SR", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "REG")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ENDINGS_WITHOUT_PREAMBLE = (".dcm", ".ima")


@dataclass(frozen=True)
class Slice:
    """One slice: a file, or a frame of one.

    Attributes:
        path: of the file.
        frame: number of the frame, from 0.
        number: InstanceNumber, or that of the frame from 1.
        shape: (columns, rows).
        position_mm: of its first voxel, LPS; None if the file does not say.
        orientation: direction of a row, then of a column, LPS; None if the file does not say.
        pixel_spacing_mm: between columns, between rows; None if the file does not say.
        slope, intercept: stored values → intensities.
    """

    path: Path
    frame: int
    number: int
    shape: tuple[int, int]
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slope: float
    intercept: float


@dataclass(frozen=True)
class SliceFile:
    """What the header of an image file says.

    Attributes:
        path: of the file.
        patient_id: may be empty.
        study_date: YYYYMMDD, may be empty.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        series_number: as text.
        description: SeriesDescription.
        modality: CT, MR and so on.
        slices: one per frame.
    """

    path: Path
    patient_id: str
    study_date: str
    study: str
    series: str
    series_number: str
    description: str
    modality: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class HeaderScan:
    """Files of a folder.

    Attributes:
        images: that hold slices.
        not_dicom: that are something else.
        not_images: that are DICOM, but structures, reports, scouts or screenshots.
    """

    images: tuple[SliceFile, ...]
    not_dicom: tuple[Path, ...]
    not_images: tuple[Path, ...]


def scan_headers(paths: Sequence[Path]) -> HeaderScan:
    """Read the headers of all files that are DICOM; voxels and further elements are left on disk.

    Where pixels are not compressed, it is seen from the size of the file whether all are there.

    Raises:
        InputError: if a DICOM file, or a file with the name of one, is damaged or cannot be read.
    """
    images: list[SliceFile] = []
    not_dicom: list[Path] = []
    not_images: list[Path] = []
    for path in track(paths, "Reading DICOM headers"):
        with damage_reported(path):
            read = _read_header(path)
            if read is None:
                not_dicom.append(path)
                continue
            header, left_bytes = read
            if _is_scan(header):
                require_pixels(path, header, left_bytes)
                images.append(_slice_file(path, header))
            else:
                require_no_slice(path, header)
                not_images.append(path)
    return HeaderScan(tuple(images), tuple(not_dicom), tuple(not_images))


def _read_header(path: Path) -> tuple[Any, int] | None:
    """Header, and bytes from the pixels on; None if the file is not DICOM.

    Without a preamble, only the usual endings are believed; these must be true.
    """
    is_marked = is_dicom(path)
    if not is_marked and path.suffix.lower() not in _ENDINGS_WITHOUT_PREAMBLE:
        return None
    with path.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_HEADER_TAGS))
        left_bytes = path.stat().st_size - file.tell()
    if not is_marked and "SOPClassUID" not in header:
        what = "not DICOM, or damaged" if path.stat().st_size else "an empty file"
        raise InputError(
            f"{path}: {what}; expected DICOM, because of its name. Export it again, or move it elsewhere if it is no "
            "slice."
        )
    return header, left_bytes


def _is_scan(header: Any) -> bool:
    """Whether there are grey values of the body; a secondary capture without a position is a screenshot."""
    if "Rows" not in header or header.get("Modality") in _NO_IMAGES or (header.get("SamplesPerPixel") or 1) != 1:
        return False
    is_capture = str(header.get("SOPClassUID")).startswith(_SECONDARY_CAPTURE)
    is_placed = "ImagePositionPatient" in header or "PerFrameFunctionalGroupsSequence" in header
    return (is_placed or not is_capture) and "LOCALIZER" not in _values(header, "ImageType")


def _slice_file(path: Path, header: Any) -> SliceFile:
    return SliceFile(
        path=path,
        patient_id=str(header.get("PatientID") or "").strip(),
        study_date=str(header.get("StudyDate") or "").strip(),
        study=str(header.get("StudyInstanceUID") or path.parent),
        series=str(header.get("SeriesInstanceUID") or path.parent),
        series_number=str(header.get("SeriesNumber") or ""),
        description=str(header.get("SeriesDescription") or "").strip(),
        modality=str(header.get("Modality") or ""),
        slices=tuple(_slices(path, header)),
    )


def _slices(path: Path, header: Any) -> Iterator[Slice]:
    shape = (int(header.Columns), int(header.Rows))
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        count = frame_count(header)
        number = int(header.get("InstanceNumber") or 0)
        for index in range(count):
            # Frames without functional groups share one position, which is refused as duplicate.
            yield _slice(path, index, number if count == 1 else index + 1, shape, [header])
        return
    shared = header.get("SharedFunctionalGroupsSequence") or [None]
    for index, frame in enumerate(frames):
        groups = [*_items(frame), *_items(shared[0]), header]
        yield _slice(path, index, index + 1, shape, groups)


def _slice(path: Path, index: int, number: int, shape: tuple[int, int], groups: list[Any]) -> Slice:
    row_and_column = _numbers(groups, "PixelSpacing", 2)
    return Slice(
        path=path,
        frame=index,
        number=number,
        shape=shape,
        position_mm=_numbers(groups, "ImagePositionPatient", 3),
        orientation=_numbers(groups, "ImageOrientationPatient", 6),
        pixel_spacing_mm=None if row_and_column is None else row_and_column[::-1],
        slope=(_numbers(groups, "RescaleSlope", 1) or (1.0,))[0],
        intercept=(_numbers(groups, "RescaleIntercept", 1) or (0.0,))[0],
    )


def _items(group: Any) -> Iterator[Any]:
    """First items of the sequences of a functional group, such as its PlanePositionSequence."""
    for element in group or ():
        if element.VR == "SQ" and element.value:
            yield element.value[0]


def _numbers(groups: Iterable[Any], keyword: str, count: int) -> tuple[float, ...] | None:
    """Of the first group that has them."""
    for group in groups:
        value = group.get(keyword)
        if value is None or value == "":
            continue
        numbers = tuple(float(each) for each in (value if count > 1 else [value]))
        if len(numbers) != count:
            raise ValueError(f"{keyword} has {len(numbers)} values, expected {count}")
        return numbers
    return None


def _values(header: Any, keyword: str) -> tuple[str, ...]:
    value = header.get(keyword) or ()
    return (value,) if isinstance(value, str) else tuple(value)
