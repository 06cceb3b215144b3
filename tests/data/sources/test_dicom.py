"""DICOM series as volumes: every voxel where the headers say, and every irregular series refused with its numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)
from scipy.spatial.transform import Rotation

from voxseed.data.sources.base import LeftOut, Wanted
from voxseed.data.sources.dicom import find_dicom
from voxseed.data.sources.dicom_series import ordered
from voxseed.data.sources.dicom_slices import Slice, scan_headers
from voxseed.data.sources.find import files_below, find_cases
from voxseed.errors import InputError

SHAPE = (6, 5, 4)
ARRAY = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
ROWS = b"\x28\x00\x10\x00"
"""Where the element starts in a file."""
C, S = np.cos(np.radians(20)), np.sin(np.radians(20))
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "oblique": (C, S, 0, -S * C, C * C, -S),
}


def find(root: Path, *channels: str, series: str | None = None):
    return find_cases(root, Wanted(channels, re.compile(series, re.IGNORECASE) if series else None))


def only_volume(root: Path):
    (case,) = find(root).cases
    (channel,) = case.channels
    return channel.read()


def refusal(root: Path) -> str:
    (case,) = find(root).cases
    with pytest.raises(InputError) as raised:
        case.channels[0].read_grid()
    return str(raised.value)


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_voxel_lies_where_its_slice_says(write_dicom, tmp_path, orientation, multi_frame):
    write_dicom(tmp_path, ARRAY, orientation=orientation, multi_frame=multi_frame)
    volume = only_volume(tmp_path)
    assert volume.shape == SHAPE
    assert volume.array.dtype.kind == "i"
    np.testing.assert_allclose(volume.spacing_mm, (0.5, 0.75, 2.5), atol=1e-5)
    along, down = np.reshape(orientation, (2, 3))
    for index in [(0, 0, 0), (5, 0, 0), (0, 4, 0), (1, 2, 3)]:
        i, j, k = index
        lps = np.array([-10, 20, 30]) + i * 0.5 * along + j * 0.75 * down + k * 2.5 * np.cross(along, down)
        at = np.linalg.inv(volume.affine) @ [-lps[0], -lps[1], lps[2], 1]
        voxel = tuple(np.rint(at[:3]).astype(int))
        np.testing.assert_allclose(at[:3], voxel, atol=1e-4)
        assert volume.array[voxel] == ARRAY[index]


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_an_independent_reader_finds_the_same_voxels_in_the_same_places(write_dicom, tmp_path, orientation):
    write_dicom(tmp_path, ARRAY, orientation=orientation)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    theirs = reader.Execute()
    volume = only_volume(tmp_path)
    for index in np.ndindex(SHAPE):
        lps = theirs.TransformIndexToPhysicalPoint(index)
        at = np.linalg.inv(volume.affine) @ [-lps[0], -lps[1], lps[2], 1]
        voxel = tuple(np.rint(at[:3]).astype(int))
        np.testing.assert_allclose(at[:3], voxel, atol=1e-3)
        assert volume.array[voxel] == theirs[index]


def test_a_known_landmark_in_numbers(write_dicom, tmp_path):
    """Axial, LPS origin (-10, 20, 30): voxel (1, 2, 3) lies at LPS (-9.5, 21.5, 37.5)."""
    write_dicom(tmp_path, ARRAY)
    volume = only_volume(tmp_path)
    np.testing.assert_allclose(volume.affine @ [1, 2, 3, 1], [9.5, -21.5, 37.5, 1])


@pytest.mark.parametrize(("slope", "intercept", "kind"), [(2, -1024, "i"), (0.5, 0.25, "f")])
def test_the_rescale_of_each_slice_is_applied(write_dicom, tmp_path, slope, intercept, kind):
    def rescale(index, header):
        header.RescaleSlope, header.RescaleIntercept = slope * (index + 1), intercept

    write_dicom(tmp_path, ARRAY, change=rescale)
    volume = only_volume(tmp_path)
    assert volume.array.dtype.kind == kind
    np.testing.assert_array_equal(volume.array, ARRAY * slope * np.arange(1, 5) + intercept)


def test_the_rescale_of_a_frame_is_applied(write_dicom, tmp_path):
    def rescale(index, header):
        for number, frame in enumerate(header.PerFrameFunctionalGroupsSequence):
            transformation = Dataset()
            transformation.RescaleSlope, transformation.RescaleIntercept = number + 1, -5
            frame.PixelValueTransformationSequence = [transformation]

    write_dicom(tmp_path, ARRAY, multi_frame=True, change=rescale)
    np.testing.assert_array_equal(only_volume(tmp_path).array, ARRAY * np.arange(1, 5) - 5)


@given(
    turn=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
    order=st.permutations(range(5)),
    spacing_mm=st.tuples(*[st.floats(0.2, 6)] * 3),
)
def test_any_orientation_and_any_order_of_files_give_the_same_places(turn, order, spacing_mm):
    along, down, normal = Rotation.from_quat(turn).as_matrix().T
    origin = np.array([12.5, -80.25, 40])
    slices = [
        Slice(
            path=Path(f"{number}.dcm"),
            frame=0,
            number=number,
            shape=(7, 6),
            position_mm=tuple(np.round(origin + number * spacing_mm[2] * normal, 5)),
            orientation=tuple(np.round([*along, *down], 7)),
            pixel_spacing_mm=spacing_mm[:2],
            slope=1,
            intercept=0,
        )
        for number in order
    ]
    found, grid = ordered(slices)
    assert [each.number for each in found] == [0, 1, 2, 3, 4]
    i, j, k = 6, 5, 4
    lps = origin + i * spacing_mm[0] * along + j * spacing_mm[1] * down + k * spacing_mm[2] * normal
    np.testing.assert_allclose(grid.affine @ [i, j, k, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-3)


def without(keyword):
    return lambda index, header: delattr(header, keyword) if index == 2 else None


def set_on_third(keyword, value):
    return lambda index, header: setattr(header, keyword, value) if index == 2 else None


REFUSED = {
    "tilted": ({"shift_mm": (0, 0.5, 0)}, r"a tilted gantry, the slices are stacked 11\.3° off their normal"),
    "out of line": (
        {"change": set_on_third("ImagePositionPatient", [-10, 21, 35])},
        r"slice 3 lies 1\.00 mm beside the line of the others",
    ),
    "duplicate": (
        {"change": set_on_third("ImagePositionPatient", [-10, 20, 32.5])},
        r"1 slice at the position of another, the first are slice 2 \(im003\.dcm\) and slice 3 \(im002\.dcm\), both at "
        r"32\.50 mm",
    ),
    "uneven": (
        {"change": set_on_third("ImagePositionPatient", [-10, 20, 36])},
        r"slices 1\.50 to 3\.50 mm apart, expected one distance",
    ),
    "orientations": (
        {"change": set_on_third("ImageOrientationPatient", [0, 1, 0, 0, 0, -1])},
        r"slices of different orientations: \(1, 0, 0, 0, 1, 0\) \(3\), and \(0, 1, 0, 0, 0, -1\) or others \(1, the "
        r"first is slice 3",
    ),
    "sizes": (
        {"change": set_on_third("Rows", 4)},
        r"slices of different sizes, 6 × 5 \(3\), 6 × 4 \(1\)",
    ),
    "pixel spacing": (
        {"change": set_on_third("PixelSpacing", [1, 1])},
        r"slices of different pixel spacings: \(0\.5, 0\.75\) \(3\), and \(1, 1\)",
    ),
    "no position": (
        {"change": without("ImagePositionPatient")},
        r"1 slice of 4 without ImagePositionPatient, the first is slice 3 \(im002\.dcm\)",
    ),
    "skewed": (
        {"orientation": (1, 0, 0, 0.1, 0.995, 0)},
        "its rows and columns are not at right angles of unit length",
    ),
    "no orientation": ({"change": without("ImageOrientationPatient")}, "1 slice of 4 without ImageOrientationPatient"),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED.values(), ids=REFUSED)
def test_an_irregular_series_is_refused_with_its_numbers(write_dicom, tmp_path, arguments, sentence):
    write_dicom(tmp_path, ARRAY, **arguments)
    message = refusal(tmp_path)
    assert re.search(sentence, message), message
    assert "series T1 axial: " in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ([3], r"1 slice missing of 9 every 2\.50 mm: 1 between slice 3 \(im007\.dcm\) at 35\.00 mm and slice 5 "),
        ([2, 5, 6], r"3 slices missing of 9 every 2\.50 mm: 1 between slice 2 .*; 2 between slice 5 .* slice 8 "),
    ],
)
def test_missing_slices_are_named(write_dicom, tmp_path, missing, sentence):
    paths = write_dicom(tmp_path, np.zeros((4, 4, 9), np.int16))
    for index in missing:
        paths[index].unlink()
    message = refusal(tmp_path)
    assert re.search(sentence, message), message


def test_rounded_positions_are_no_gaps(write_dicom, tmp_path):
    def round_position(index, header):
        header.ImagePositionPatient = [-10, 20, round(30 + 0.625 * index, 2)]

    write_dicom(tmp_path, np.zeros((4, 4, 20), np.int16), spacing_mm=(1, 1, 0.625), change=round_position)
    np.testing.assert_allclose(only_volume(tmp_path).spacing_mm[2], 0.625, atol=1e-3)


def test_one_slice_is_no_volume(write_dicom, tmp_path):
    write_dicom(tmp_path, ARRAY[:, :, :1])
    assert "holds 1 slice, expected a volume of several" in refusal(tmp_path)


def test_time_points_in_one_multi_frame_file_are_refused(write_dicom, tmp_path):
    def repeat(index, header):
        frames = header.PerFrameFunctionalGroupsSequence
        frames[3].PlanePositionSequence[0].ImagePositionPatient = (
            frames[1].PlanePositionSequence[0].ImagePositionPatient
        )

    write_dicom(tmp_path, ARRAY, multi_frame=True, change=repeat)
    assert "1 slice at the position of another, the first are slice 2 (frames.dcm) and slice 4" in refusal(tmp_path)


def unplaced(index, header):
    del header.ImagePositionPatient


def write_without_image(path: Path, kind: str, **elements: object) -> None:
    """A DICOM file of a kind that has no pixels."""
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID, header.file_meta.MediaStorageSOPInstanceUID = kind, "1.2.3"
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)


def test_what_is_no_scan_is_left_out_and_named(write_dicom, tmp_path):
    write_dicom(tmp_path, ARRAY)
    write_dicom(tmp_path / "scout", ARRAY[:, :, :1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dicom(tmp_path / "seg", ARRAY[:, :, :1], Modality="SEG")
    write_dicom(tmp_path / "report", ARRAY[:, :, :1], SamplesPerPixel=3)
    write_dicom(tmp_path / "shot", ARRAY[:, :, :1], SOPClassUID="1.2.840.10008.5.1.4.1.1.7", change=unplaced)
    write_without_image(tmp_path / "DICOMDIR", MediaStorageDirectoryStorage, FileSetID="SCANS")
    write_without_image(tmp_path / "sr.dcm", BasicTextSRStorage, SOPClassUID=BasicTextSRStorage, Modality="SR")
    state = GrayscaleSoftcopyPresentationStateStorage
    write_without_image(tmp_path / "state.dcm", state, SOPClassUID=state, Modality="PR")
    write_without_image(tmp_path / "raw.dcm", "1.3.12.2.1107.5.9.1", SOPClassUID="1.3.12.2.1107.5.9.1", Modality="MR")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("hello")
    found = find(tmp_path)
    assert [each.sentence(is_named=True) for each in found.left_out] == [
        "1 file left out, not DICOM: notes.txt.",
        "8 files left out, DICOM but no scans: DICOMDIR, raw.dcm, report/im001.dcm, scout/im001.dcm, seg/im001.dcm "
        "and 3 more.",
    ]
    assert found.left_out[1].sentence(is_named=False) == "8 files left out, DICOM but no scans."
    assert len(found.cases) == 1
    assert found.channel_names == ("CT",)


@pytest.mark.parametrize("name", ["im001.dcm", "im001.IMA", "IM001"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda whole: b"", "an empty file; expected DICOM, because of its name. Export it again, or move it"),
        (lambda whole: whole[:100], "not DICOM, or damaged; expected DICOM, because of its name. Export it again, or"),
        (lambda whole: np.random.default_rng(0).bytes(300), "not DICOM, or damaged; expected DICOM, because"),
        (lambda whole: b"hello", "not DICOM, or damaged; expected DICOM, because"),
        (lambda whole: whole[:200], "a DICOM file that was cut near its beginning. Export it again"),
        (lambda whole: whole[:500], "CT Image Storage, but its header ends before the size of the image. Export it"),
    ],
    ids=["empty", "part of the preamble", "noise", "text", "200 bytes", "500 bytes"],
)
def test_a_damaged_first_or_last_slice_does_not_shorten_the_volume(write_dicom, tmp_path, name, content, sentence):
    path = write_dicom(tmp_path, ARRAY)[-1]
    whole = path.read_bytes()
    path.unlink()
    (tmp_path / name).write_bytes(content(whole))
    if name == "IM001" and b"DICM" not in content(whole):  # nothing says that this should be DICOM
        assert find(tmp_path).left_out == (LeftOut(("IM001",), "file", "not DICOM"),)
    else:
        with pytest.raises(InputError, match=rf"{name}: {sentence}"):
            find(tmp_path)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("is_marked", [True, False])
def test_no_cut_makes_a_slice_something_else(write_dicom, tmp_path, is_marked):
    path = write_dicom(tmp_path, ARRAY)[0]
    if not is_marked:
        header = dcmread(path)
        header.preamble, header.file_meta = None, FileMetaDataset()
        header.save_as(path, implicit_vr=False, little_endian=True)
    whole = path.read_bytes()
    lengths = (*range(0, 300, 3), *range(300, whole.index(ROWS), 7), *range(whole.index(ROWS), len(whole), 3))
    for length in lengths:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"im004\.dcm: .*[Ee]xport it again"):
            scan_headers([path])


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_without_its_last_byte_is_refused_before_any_pixel_is_read(write_dicom, tmp_path, syntax, multi_frame):
    path = write_dicom(tmp_path, ARRAY, multi_frame=multi_frame)[-1]
    header = dcmread(path)
    if syntax == ExplicitVRBigEndian:
        header.PixelData = np.frombuffer(header.PixelData, "<i2").astype(">i2").tobytes()
    header.file_meta.TransferSyntaxUID = syntax
    list(header.iterall())  # decoded, so that they can be written in another order of bytes
    dcmwrite(path, header, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    np.testing.assert_array_equal(only_volume(tmp_path).array, ARRAY)
    size = 2 * ARRAY[:, :, : None if multi_frame else 1].size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=rf"{path.name}: {size - 1} bytes of pixels, expected {size}; the file was cut"
    ):
        find(tmp_path)


@pytest.mark.parametrize(
    ("syntax", "remedy"),
    [
        (ExplicitVRLittleEndian, "Export the file again"),
        (JPEG2000Lossless, "They are compressed: install pylibjpeg .*gdcmconv --raw; .*, export the file again"),
    ],
)
def test_codecs_are_proposed_for_compressed_pixels_alone(write_dicom, tmp_path, syntax, remedy):
    path = write_dicom(tmp_path, ARRAY)[1]
    header = dcmread(path)
    if syntax.is_compressed:
        header.compress(RLELossless)
        header.file_meta.TransferSyntaxUID = syntax  # which it is not
    else:
        del header.PhotometricInterpretation
    header.save_as(path)
    (case,) = find(tmp_path).cases
    with pytest.raises(InputError, match=rf"im003\.dcm: its pixels cannot be decoded \(.*\)\. {remedy}\.$"):
        case.channels[0].read()


@pytest.fixture
def study(write_dicom, tmp_path):
    """One study with three series."""
    for number, description in enumerate(("T1 axial", "T1 axial post", "FLAIR sag")):
        write_dicom(tmp_path / str(number), ARRAY + number, SeriesDescription=description, Modality="MR")
    return tmp_path


@pytest.mark.parametrize(
    ("channels", "series", "expected"),
    [
        ((), "post", ["T1 axial post (4 slices)"]),
        ((), "^flair", ["FLAIR sag (4 slices)"]),
        (("FLAIR",), None, ["FLAIR sag (4 slices)"]),
        (("FLAIR", "T1 axial"), "axial$|flair", ["FLAIR sag (4 slices)", "T1 axial (4 slices)"]),
        (("T1 axial post", "T1"), None, ["T1 axial post (4 slices)", "T1 axial (4 slices)"]),
    ],
)
def test_series_are_chosen_by_description(study, channels, series, expected):
    found = find(study, *channels, series=series)
    assert found.problems == ()
    assert [channel.description for channel in found.cases[0].channels] == expected
    assert found.channel_names == (channels or ("MRI",))


@pytest.mark.parametrize("channels", [(), ("T1",), ("PD",), ("T1", "FLAIR")])
def test_a_choice_that_is_open_lists_the_series(study, channels):
    found = find(study, *channels)
    assert found.cases == ()
    (problem,) = found.problems
    assert "case sally-77 has 3 series, of which" in problem
    assert "FLAIR sag (4 slices), T1 axial (4 slices), T1 axial post (4 slices). Choose by description" in problem


def test_no_series_that_is_admitted(study):
    with pytest.raises(InputError, match=r"found 12 DICOM images in 12 files, and of these --series admits none"):
        find(study, series="DWI")


@pytest.mark.parametrize(
    ("studies", "expected"),
    [
        ([("anna", "2020"), ("bert", "2020")], ["anna", "bert"]),
        ([("anna", "2020"), ("anna", "2021")], ["anna_2020", "anna_2021"]),
        ([("anna", "2020"), ("anna", "2020")], ["anna_2020_1", "anna_2020_2"]),
        ([("", "2020"), ("bert", "2020")], ["0", "bert"]),
    ],
)
def test_cases_are_called_after_the_patients_id(write_dicom, tmp_path, studies, expected):
    for number, (patient, date) in enumerate(studies):
        elements = {"PatientID": patient, "StudyDate": date + "0101", "StudyInstanceUID": f"1.2.{number + 1}"}
        write_dicom(tmp_path / str(number), ARRAY, **elements)
    expected = [name.replace("2020", "20200101").replace("2021", "20210101") for name in expected]
    assert sorted(case.name for case in find(tmp_path).cases) == expected


def test_a_single_file_is_a_source(write_dicom, tmp_path):
    (path,) = write_dicom(tmp_path, ARRAY, multi_frame=True)
    assert find_dicom(path, list(files_below(path)), Wanted()).cases[0].channels[0].read_grid().shape == SHAPE


def test_a_folder_without_images_says_what_was_expected(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"no images in 1 file, of which 0 DICOM.*Expected NIfTI"):
        find(tmp_path)


def test_images_and_dicom_are_not_mixed(write_dicom, tmp_path):
    write_dicom(tmp_path, ARRAY)
    (tmp_path / "a.nii").write_bytes(b"")
    with pytest.raises(InputError, match="both 1 image file and 4 DICOM files"):
        find(tmp_path)
