"""DICOM Segmentations, opened again frame by frame with pydicom alone: the same voxels in the same places."""

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage

from voxseed.data.dicom_seg import dicom_segmentation, write_dicom_seg
from voxseed.data.labels import Labels
from voxseed.data.sources.base import Wanted
from voxseed.data.sources.find import find_cases
from voxseed.data.volumes import Volume
from voxseed.errors import InputError, ShapeError

pytest.importorskip("highdicom")

SHAPE = (7, 5, 4)
LABELS = Labels({"background": 0, "tumour": 3, "cyst": 5})
ELEMENTS = {
    False: {"FrameOfReferenceUID": "1.2.3"},
    True: {"FrameOfReferenceUID": "1.2.3", "SOPClassUID": EnhancedCTImageStorage},
}
C, S = np.cos(np.radians(20)), np.sin(np.radians(20))
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "oblique": (C, S, 0, -S * C, C * C, -S),
}


def series_of(folder: Path):
    (case,) = find_cases(folder, Wanted()).cases
    return case.channels[0]


def segmented(folder: Path, values: np.ndarray):
    """A series and a label map on it."""
    series = series_of(folder)
    return Volume(values, series.read_grid().affine), series


def write(path: Path, volume: Volume, series) -> None:
    write_dicom_seg(path, dicom_segmentation(volume, LABELS, series))


def label_map(seed: int = 0) -> np.ndarray:
    """Both classes, no symmetry, and an empty slice."""
    values = np.random.default_rng(seed).choice([0, 0, 3, 5], size=SHAPE).astype(np.uint8)
    values[:, :, 1] = 0
    return values


def group(segmentation, frame, sequence: str):
    """A functional group of a frame, or the one that all frames share."""
    own = frame.get(sequence)
    return (own or segmentation.SharedFunctionalGroupsSequence[0].get(sequence))[0]


def voxels_of(path: Path) -> dict[str, set[tuple[float, ...]]]:
    """Label → positions (LPS mm, rounded) of its voxels, from the standard's equation C.7.6.2.1-1."""
    segmentation = pydicom.dcmread(path)
    names = {int(segment.SegmentNumber): segment.SegmentLabel for segment in segmentation.SegmentSequence}
    found: dict[str, set[tuple[float, ...]]] = {name: set() for name in names.values()}
    pixels = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, plane in zip(segmentation.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        position = np.array(group(segmentation, frame, "PlanePositionSequence").ImagePositionPatient, float)
        cosines = np.array(group(segmentation, frame, "PlaneOrientationSequence").ImageOrientationPatient, float)
        between_rows, between_columns = group(segmentation, frame, "PixelMeasuresSequence").PixelSpacing
        number = int(group(segmentation, frame, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        for row, column in np.argwhere(plane):
            place = position + cosines[:3] * between_columns * column + cosines[3:] * between_rows * row
            found[names[number]].add(tuple(np.round(place, 3) + 0.0))
    return found


def expected_voxels(volume: Volume) -> dict[str, set[tuple[float, ...]]]:
    result = {}
    for name in LABELS.foreground:
        voxels = np.argwhere(volume.array == LABELS[name])
        ras = voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        result[name] = {tuple(np.round(place, 3) + 0.0) for place in ras * (-1, -1, 1)}
    return result


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_the_same_voxels_in_the_same_places(write_dicom, tmp_path, orientation, multi_frame):
    write_dicom(
        tmp_path / "in",
        np.zeros(SHAPE, np.int16),
        orientation=orientation,
        multi_frame=multi_frame,
        **ELEMENTS[multi_frame],
    )
    volume, series = segmented(tmp_path / "in", label_map())
    write(tmp_path / "seg.dcm", volume, series)
    found, expected = voxels_of(tmp_path / "seg.dcm"), expected_voxels(volume)
    assert found.keys() == expected.keys()
    for name in expected:
        assert len(expected[name]) == (volume.array == LABELS[name]).sum()
        theirs, ours = (np.array(sorted(each[name])) for each in (found, expected))
        np.testing.assert_allclose(theirs, ours, atol=2e-3)


def test_frames_of_a_reversed_multi_frame_file_keep_their_places(write_dicom, tmp_path):
    def reverse(index, header):
        header.PerFrameFunctionalGroupsSequence = list(header.PerFrameFunctionalGroupsSequence)[::-1]

    folder = tmp_path / "in"
    write_dicom(folder, np.zeros(SHAPE, np.int16), multi_frame=True, change=reverse, **ELEMENTS[True])
    volume, series = segmented(folder, label_map())
    write(tmp_path / "seg.dcm", volume, series)
    assert voxels_of(tmp_path / "seg.dcm") == expected_voxels(volume)


def test_it_refers_to_patient_study_and_images_of_its_series(write_dicom, tmp_path):
    paths = write_dicom(tmp_path / "in", np.zeros(SHAPE, np.int16), FrameOfReferenceUID="1.2.3")
    volume, series = segmented(tmp_path / "in", label_map())
    write(tmp_path / "seg.dcm", volume, series)
    written, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(paths[0])
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
        assert written.get(keyword) == source.get(keyword), keyword
    assert (written.Modality, written.SeriesInstanceUID == source.SeriesInstanceUID) == ("SEG", False)
    images = {item.ReferencedSOPInstanceUID for item in written.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert images <= {pydicom.dcmread(path).SOPInstanceUID for path in paths}
    assert len(images) >= 3


def test_an_empty_label_map_is_written(write_dicom, tmp_path):
    write_dicom(tmp_path / "in", np.zeros(SHAPE, np.int16), FrameOfReferenceUID="1.2.3")
    volume, series = segmented(tmp_path / "in", np.zeros(SHAPE, np.uint8))
    write(tmp_path / "seg.dcm", volume, series)
    assert not pydicom.dcmread(tmp_path / "seg.dcm").pixel_array.any()


def test_what_cannot_be_written_is_a_sentence(write_dicom, tmp_path, monkeypatch):
    write_dicom(tmp_path / "in", np.zeros(SHAPE, np.int16))
    volume, series = segmented(tmp_path / "in", label_map())
    with pytest.raises(InputError, match=r"im\d+\.dcm: without FrameOfReferenceUID.*--format nifti\."):
        write(tmp_path / "seg.dcm", volume, series)
    write_dicom(tmp_path / "classic", volume.array, multi_frame=True, FrameOfReferenceUID="1.2.3")
    with pytest.raises(
        InputError, match=r"series T1 axial: highdicom cannot refer to it \(.*\)\. Predict with --format"
    ):
        write(tmp_path / "seg.dcm", volume, series_of(tmp_path / "classic"))
    with pytest.raises(ShapeError, match=r"shape \(7, 5, 4\), found \(7, 5, 3\)"):
        write(tmp_path / "seg.dcm", Volume(volume.array[..., :3], volume.affine), series)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(
        InputError, match=r"needs the package highdicom\. Install it with pip install 'voxseed\[dicom\]'"
    ):
        write(tmp_path / "seg.dcm", volume, series)
    assert not (tmp_path / "seg.dcm").exists()
