"""DICOM Segmentation objects: a label map on the slices of the series that it was made from.

highdicom writes them; it is an optional dependency, imported when one is written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxseed import __version__
from voxseed.data.grids import Grid
from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume
from voxseed.errors import InputError, ShapeError
from voxseed.files import atomic_path

if TYPE_CHECKING:
    from voxseed.data.sources.dicom_series import DicomSeries
    from voxseed.data.sources.dicom_slices import Slice

SUFFIX = ".dcm"
_SERIES_NUMBER = 9000
"""Beyond those that scanners give; the UIDs, not this number, keep series apart."""
_NEEDED = ("StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "SOPClassUID")
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""What the standard allows to be empty, and files that were made anonymous often lack."""


def require_highdicom() -> None:
    """Check that DICOM Segmentations can be written.

    Raises:
        InputError: if highdicom is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise InputError(
            "--format dicom-seg: needs the package highdicom. Install it with pip install 'voxseed[dicom]'."
        ) from None


def dicom_segmentation(volume: Volume, labels: Labels, series: "DicomSeries") -> Any:
    """A label map as a binary DICOM Segmentation that refers to the images of its series.

    Every foreground class is a segment, numbered by its index, with its name as label and "Tissue" (SNOMED CT
    85756007) as category and type, because a name alone says no more. Frames without any voxel of a segment are left
    out, as the standard allows. Patient and study are those of the series.

    Args:
        volume: label values, (I, J, K) as the series was read.
        labels: of these values.
        series: that was segmented.

    Returns:
        highdicom's object, for `write_dicom_seg`.

    Raises:
        InputError: if highdicom is not installed, the series says nothing of its frame of reference, it has several
            files of several frames, or highdicom cannot refer to it.
        ShapeError: if the label map has not the shape of the series.
    """
    require_highdicom()
    slices, grid = series.ordered()
    if volume.shape != grid.shape:
        raise ShapeError(f"Expected a label map of the series' shape {grid.shape}, found {volume.shape}.")
    frames = labels.to_class_indices(volume.array).transpose(2, 1, 0)
    paths = [each.path for each in slices]
    if len(set(paths)) == len(paths):
        headers = [_header(each) for each in paths]
    elif len(set(paths)) == 1:
        headers = [_header(paths[0])]
        order = np.argsort([each.frame for each in slices])  # highdicom takes frames as the file has them
        frames, slices = frames[order], [slices[index] for index in order]
    else:
        raise InputError(
            f"{series.path}: {len(set(paths))} files hold {len(paths)} frames; expected one frame per file, or one "
            "file. Predict with --format nifti."
        )
    places = _places(slices, grid)
    for header in headers:
        _complete(header, places)
    try:
        return _segmentation(headers, np.ascontiguousarray(frames), labels, places)
    except (AttributeError, ValueError) as error:  # what highdicom misses or finds wrong in the headers
        raise InputError(
            f"{series.path}, series {series.title}: highdicom cannot refer to it ({error}). "
            "Predict with --format nifti."
        ) from None


def write_dicom_seg(path: Path, segmentation: Any) -> None:
    """Write what `dicom_segmentation` made, atomically."""
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)


def _header(path: Path) -> Any:
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    missing = next((keyword for keyword in _NEEDED if not header.get(keyword)), None)
    if missing:
        raise InputError(
            f"{path}: without {missing}, a DICOM Segmentation cannot say where it lies. Predict with --format nifti."
        )
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _complete(header: Any, places: dict[str, Any]) -> None:
    """What highdicom expects of images, and takes from `places` in the end; files often lack it."""
    if "PerFrameFunctionalGroupsSequence" in header:
        shared = header.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = (
            places["pixel_measures"],
            places["plane_orientation"],
        )
    elif not header.get("SliceThickness"):
        header.SliceThickness = places["pixel_measures"][0].SliceThickness


def _places(slices: Sequence["Slice"], grid: Grid) -> dict[str, Any]:
    """Where the frames lie, as highdicom wants it; the distance between slices is that of their positions."""
    import highdicom as hd

    across, down, between = grid.spacing_mm
    return {
        "pixel_measures": hd.PixelMeasuresSequence((down, across), between, between),
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", slices[0].orientation or ()),
        "plane_positions": [hd.PlanePositionSequence("PATIENT", each.position_mm or ()) for each in slices],
    }


def _segmentation(headers: Sequence[Any], frames: np.ndarray, labels: Labels, places: dict[str, Any]) -> Any:
    """The object of class indices (K, J, I) on the images of the headers."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="Voxseed", version=__version__, family=codes.cid7162.ArtificialIntelligence
    )
    tissue = codes.SCT.Tissue
    segments = [
        hd.seg.SegmentDescription(
            segment_number=index,
            segment_label=name[:64],
            segmented_property_category=tissue,
            segmented_property_type=tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for index, name in enumerate(labels.foreground, start=1)
    ]
    return hd.seg.Segmentation(
        source_images=headers,
        pixel_array=frames,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Voxseed",
        manufacturer_model_name="Voxseed",
        software_versions=__version__,
        device_serial_number="0",
        series_description="Voxseed: for research, not for diagnosis",
        content_label="VOXSEED",
        **places,
    )
