import contextlib
import errno
import gzip
import itertools
import os
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxseed.data import nifti
from voxseed.data.grids import Grid, require_same_grid, same_grid
from voxseed.data.volumes import (
    SUFFIXES,
    Image,
    Volume,
    canonical,
    like,
    read_grid,
    read_label,
    read_volume,
    require_finite,
    write_volume,
)
from voxseed.errors import InputError, ShapeError

SHAPE = (3, 4, 5)
OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.3, -0.2, 0.5) @ np.diag([0.7, 1.3, 2.9]), [-31.5, 12.25, 90.0]
)
ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*order)
]


def affine_of(orientation):
    """Affine with spacings 0.8, 1.5, 2.5 mm along right, anterior, superior."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    spacing = {"R": (0, 0.8), "L": (0, -0.8), "A": (1, 1.5), "P": (1, -1.5), "S": (2, 2.5), "I": (2, -2.5)}
    for axis, letter in enumerate(orientation):
        row, step = spacing[letter]
        affine[row, axis] = step
    affine[:3, 3] = 7, -11, 13
    return affine


AFFINES = {**{name: affine_of(name) for name in ORIENTATIONS}, "oblique": OBLIQUE}


def volume_of(affine, dtype=np.float32):
    return Volume(np.arange(60, dtype=dtype).reshape(SHAPE), affine)


def value_positions(volume):
    """(position mm of each value), for values that are all different."""
    indices = np.argwhere(np.ones(volume.shape, dtype=bool))
    positions = indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    order = np.argsort(volume.array[tuple(indices.T)])
    return positions[order]


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("name", AFFINES)
def test_canonical_keeps_every_value_at_its_position_and_like_undoes_it(name):
    volume = volume_of(AFFINES[name])
    turned = canonical(volume)
    assert nib.aff2axcodes(turned.affine) == ("R", "A", "S")
    np.testing.assert_allclose(value_positions(turned), value_positions(volume), atol=1e-9)
    restored = like(turned, volume)
    np.testing.assert_array_equal(restored.array, volume.array)
    np.testing.assert_array_equal(restored.affine, volume.affine)
    assert turned.array.flags.c_contiguous


def test_canonical_turns_all_channels_of_an_image():
    first = volume_of(AFFINES["SLP"])
    image = Image(np.stack([first.array, -first.array]), first.affine)
    turned = canonical(image)
    np.testing.assert_array_equal(turned.array[0], canonical(first).array)
    np.testing.assert_array_equal(turned.array[1], -canonical(first).array)
    assert turned.shape == (4, 5, 3)
    assert turned.spacing_mm == pytest.approx((0.8, 1.5, 2.5))
    np.testing.assert_array_equal(like(turned, image).array, image.array)


def test_like_brings_a_volume_to_any_other_order_of_the_same_grid():
    volume = volume_of(AFFINES["RAS"])
    reference = like(volume, canonical(volume))
    flipped = Grid((5, 3, 4), volume.affine @ nib.orientations.inv_ornt_aff([[1, -1], [2, 1], [0, -1]], SHAPE))
    result = like(volume, flipped)
    assert result.shape == (5, 3, 4)
    np.testing.assert_allclose(value_positions(result), value_positions(reference), atol=1e-9)


@pytest.mark.parametrize(
    "reference",
    [
        Grid((3, 4, 6), np.eye(4)),
        Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0])),
        Grid(SHAPE, nib.affines.from_matvec(np.eye(3), [1, 0, 0])),
    ],
)
def test_like_refuses_another_grid(reference):
    with pytest.raises(ShapeError, match="Expected the grid of the reference"):
        like(volume_of(np.eye(4)), reference)


def test_like_refuses_axes_that_fit_none_of_the_reference():
    skew = np.array([[1.0, 1, 0], [0, 0.1, 0], [0, 0, 1]])
    with pytest.raises(ShapeError, match="axes that fit none"):
        like(volume_of(nib.affines.from_matvec(skew)), Grid(SHAPE, np.eye(4)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", AFFINES)
def test_a_written_volume_is_read_back(tmp_path, suffix, name):
    volume = volume_of(AFFINES[name])
    path = tmp_path / f"case{suffix}"
    write_volume(path, volume)
    found = read_volume(path)
    np.testing.assert_array_equal(found.array, volume.array)
    np.testing.assert_allclose(found.affine, volume.affine, atol=1e-5)
    assert found.array.dtype == np.float32
    grid = read_grid(path)
    assert grid.shape == SHAPE
    np.testing.assert_allclose(grid.affine, found.affine, atol=1e-9)
    leftovers = {path.name, "case.zraw"} if suffix == ".mhd" else {path.name}
    assert {entry.name for entry in tmp_path.iterdir()} == leftovers


@pytest.mark.parametrize("name", AFFINES)
def test_simpleitk_puts_the_voxels_of_our_nifti_files_at_the_same_positions(tmp_path, name):
    import SimpleITK as sitk

    volume = volume_of(AFFINES[name])
    write_volume(tmp_path / "case.nii.gz", volume)
    image = sitk.ReadImage(str(tmp_path / "case.nii.gz"))
    for index in [(0, 0, 0), (2, 0, 0), (0, 3, 0), (0, 0, 4), (2, 3, 4)]:
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        expected = volume.affine[:3, :3] @ index + volume.affine[:3, 3]
        np.testing.assert_allclose(lps * [-1, -1, 1], expected, atol=1e-4)
        assert image.GetPixel(index) == volume.array[index]


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_a_file_that_simpleitk_wrote_is_read_at_its_positions(tmp_path, suffix):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(5, 4, 3))
    image.SetOrigin((5.0, -6.0, 7.0))
    image.SetSpacing((0.5, 1.0, 2.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / f"case{suffix}"))
    volume = read_volume(tmp_path / f"case{suffix}")
    assert volume.array.dtype == np.int16
    for index in [(0, 0, 0), (2, 1, 3)]:
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        position = volume.affine[:3, :3] @ index + volume.affine[:3, 3]
        np.testing.assert_allclose(position, lps * [-1, -1, 1], atol=1e-9)
        assert volume.array[index] == image.GetPixel(index)


def test_sform_and_qform_are_both_written(tmp_path):
    write_volume(tmp_path / "case.nii", volume_of(OBLIQUE))
    header = nib.load(tmp_path / "case.nii").header
    for form, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(form, OBLIQUE, atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"


@st.composite
def affines(draw):
    """Invertible affines: any rotation, spacings from 0.1 to 10 mm, either handedness."""
    angles = draw(hnp.arrays(np.float64, 3, elements=st.floats(-np.pi, np.pi)))
    spacing = draw(hnp.arrays(np.float64, 3, elements=st.floats(0.1, 10)))
    sign = draw(st.sampled_from([-1, 1]))
    origin = draw(hnp.arrays(np.float64, 3, elements=st.floats(-500, 500)))
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(spacing * [sign, 1, 1]), origin)


@given(affine=affines())
def test_canonical_and_like_are_exact_for_any_affine(affine):
    volume = volume_of(affine)
    turned = canonical(volume)
    np.testing.assert_allclose(value_positions(turned), value_positions(volume), atol=1e-6)
    assert sorted(turned.spacing_mm) == pytest.approx(sorted(volume.spacing_mm))
    np.testing.assert_array_equal(like(turned, volume).array, volume.array)


@given(affine=affines(), suffix=st.sampled_from([".nii", ".nrrd", ".mha"]))
def test_any_affine_survives_a_file_to_a_hundredth_of_a_voxel(tmp_path_factory, affine, suffix):
    path = tmp_path_factory.mktemp("affine") / f"case{suffix}"
    volume = volume_of(affine)
    write_volume(path, volume)
    error_mm = np.abs(value_positions(read_volume(path)) - value_positions(volume)).max()
    assert error_mm < 0.01 * min(volume.spacing_mm)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 255], np.uint8),
        ([-1, 255], np.int16),
        ([0, 65535], np.uint16),
        ([-40000, 2], np.int32),
        ([False, True], np.uint8),
        ([0.5, 1.0], np.float32),
    ],
)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_voxels_are_stored_in_the_smallest_type(tmp_path, values, expected, suffix):
    array = np.array(values).reshape(1, 1, 2)
    write_volume(tmp_path / f"case{suffix}", Volume(array, np.eye(4)))
    found = read_volume(tmp_path / f"case{suffix}").array
    assert found.dtype == expected
    np.testing.assert_array_equal(found, array)


def test_scaling_in_the_header_is_applied(tmp_path):
    path = tmp_path / "case.nii"
    write_volume(path, Volume(np.array([[[1, 2, 4]]]), np.eye(4)))
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, 10)  # scl_slope and scl_inter
    path.write_bytes(content)
    found = read_volume(path).array
    assert found.tolist() == [[[10.5, 11, 12]]]
    assert found.dtype == np.float32


def test_big_endian_and_nifti_2_files_are_read(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(SHAPE)
    big = nib.Nifti1Image(array.astype(">i2"), np.eye(4), nib.Nifti1Header(endianness=">"))
    big.to_filename(tmp_path / "big.nii")
    nib.Nifti2Image(array, np.eye(4)).to_filename(tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        found = read_volume(tmp_path / name).array
        np.testing.assert_array_equal(found, array)
        assert found.dtype.isnative


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000.0), ("mm", 1.0), ("micron", 0.001), ("unknown", 1.0)])
def test_units_of_the_header_are_honoured(tmp_path, unit, mm):
    image = nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "case.nii")
    assert read_volume(tmp_path / "case.nii").spacing_mm == pytest.approx((2 * mm, 3 * mm, 4 * mm))
    assert read_grid(tmp_path / "case.nii").spacing_mm == pytest.approx((2 * mm, 3 * mm, 4 * mm))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_label_map_of_whole_floats_becomes_integers(tmp_path, suffix):
    write_volume(tmp_path / f"case{suffix}", Volume(np.array([[[0.0, 2.0, 4.0]]]), np.eye(4)))
    label = read_label(tmp_path / f"case{suffix}").array
    assert label.dtype == np.uint8
    assert label.tolist() == [[[0, 2, 4]]]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_a_label_map_with_another_value_is_refused(tmp_path, value):
    write_volume(tmp_path / "case.nii", Volume(np.array([[[0.0, value, 1.0]]]), np.eye(4)))
    with pytest.raises(InputError, match=r"case\.nii: a label map has integer values, 1 voxels have not"):
        read_label(tmp_path / "case.nii")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"scan\.nii: 1 voxels are NaN or infinite"):
        require_finite(Volume(np.array([[[0.0, value]]]), np.eye(4)), "scan.nii")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(tmp_path, suffix):
    for read in (read_volume, read_label, read_grid):
        with pytest.raises(InputError, match=rf"case{suffix}: no such file"):
            read(tmp_path / f"case{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_or_text_is_no_image(tmp_path, suffix):
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"text{suffix}").write_text("Dear radiologist, this is a letter and not an image.\n" * 20)
    for read in (read_volume, read_grid):
        with pytest.raises(InputError, match=f"folder{suffix}: a folder, expected an image file"):
            read(tmp_path / f"folder{suffix}")
        with pytest.raises(InputError, match=f"text{suffix}: not a"):
            read(tmp_path / f"text{suffix}")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"case{suffix}"
    write_volume(path, Volume(np.random.default_rng(0).integers(0, 250, (20, 20, 20)), np.eye(4)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=f"case{suffix}: "):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("read", [read_volume, read_grid])
def test_an_empty_file_is_called_empty(tmp_path, suffix, read):
    path = tmp_path / f"case{suffix}"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"case{suffix}: an empty file.* [Ee]xport the (file|volume) again"):
        read(path)


def test_the_size_of_a_file_that_is_not_compressed_tells_that_it_was_cut(tmp_path):
    path = tmp_path / "case.nii"
    write_volume(path, Volume(np.zeros((4, 3, 2), np.int16) + 300, np.eye(4)))
    assert read_grid(path).shape == (4, 3, 2)
    assert path.stat().st_size == 352 + 48
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"case\.nii: truncated, 399 bytes of 400\. Copy or export the file again"):
        read_grid(path)


def test_a_gzip_file_that_is_wrong_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "case.nii.gz"
    write_volume(path, Volume(np.random.default_rng(0).integers(0, 250, (20, 20, 20)), np.eye(4)))
    plain = bytearray(gzip.decompress(path.read_bytes()))
    damaged = bytearray(gzip.compress(bytes(plain), compresslevel=0))
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"truncated or damaged \(CRC check failed"):
        read_volume(path)


@given(position=st.integers(10, 200), length=st.integers(1, 64), value=st.integers(0, 255))
def test_a_gzip_file_that_is_damaged_anywhere_is_read_or_refused(tmp_path_factory, position, length, value):
    path = tmp_path_factory.mktemp("gzip") / "case.nii.gz"
    write_volume(path, Volume(np.random.default_rng(0).integers(0, 9, (10, 10, 10)), np.eye(4)))
    content = bytearray(path.read_bytes())
    content[position : position + length] = bytes([value]) * length
    path.write_bytes(content)
    with contextlib.suppress(InputError):  # any other exception fails the test
        read_volume(path)


@given(position=st.integers(0, 347), value=st.integers(0, 255))
def test_whatever_a_damaged_header_says_is_read_or_refused(tmp_path_factory, position, value):
    path = tmp_path_factory.mktemp("header") / "case.nii"
    write_volume(path, volume_of(np.eye(4), np.uint8))
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content)
    with contextlib.suppress(InputError):  # any other exception fails the test
        assert np.isfinite(read_volume(path).affine).all()


@pytest.mark.parametrize("shape", [(4, 5), (4,), (4, 5, 6, 2), (4, 5, 1, 3)])
def test_what_is_not_3d_is_refused(tmp_path, shape):
    nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)).to_filename(tmp_path / "case.nii")
    for read in (read_volume, read_grid):
        with pytest.raises(InputError, match=r"case\.nii: expected a 3D volume, found shape \("):
            read(tmp_path / "case.nii")


def test_a_fourth_dimension_of_one_is_dropped(tmp_path):
    nib.Nifti1Image(np.zeros((4, 5, 6, 1), np.uint8), np.eye(4)).to_filename(tmp_path / "case.nii")
    assert read_volume(tmp_path / "case.nii").shape == (4, 5, 6)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_what_is_not_3d_or_has_several_values_per_voxel_is_refused_by_simpleitk_formats_too(tmp_path, suffix):
    import SimpleITK as sitk

    sitk.WriteImage(sitk.Image(4, 5, sitk.sitkUInt8), str(tmp_path / f"flat{suffix}"))
    sitk.WriteImage(sitk.Image([4, 5, 6], sitk.sitkVectorUInt8, 3), str(tmp_path / f"vector{suffix}"))
    for read in (read_volume, read_grid):
        with pytest.raises(InputError, match=r"expected a 3D volume, found shape \(4, 5\)"):
            read(tmp_path / f"flat{suffix}")
        with pytest.raises(InputError, match="3 values per voxel"):
            read(tmp_path / f"vector{suffix}")


def test_colours_are_refused(tmp_path):
    colours = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(colours, np.eye(4)).to_filename(tmp_path / "case.nii")
    with pytest.raises(InputError, match="expected one number per voxel"):
        read_volume(tmp_path / "case.nii")


def test_an_affine_that_does_not_span_space_is_refused(tmp_path):
    path = tmp_path / "case.nii"
    write_volume(path, volume_of(np.eye(4), np.uint8))
    content = bytearray(path.read_bytes())
    content[280:296] = struct.pack("<4f", 0, 1, 0, 0)  # srow_x as srow_y is
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"case\.nii: its affine does not span space"):
        read_volume(path)


@pytest.mark.parametrize("name", ["case.png", "case", "case.nii.bz2", "case.dcm"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path, name):
    for act in (read_volume, read_grid, lambda path: write_volume(path, volume_of(np.eye(4)))):
        with pytest.raises(
            InputError, match=r"unknown kind of file; expected a name ending in \.nii, \.nii\.gz, \.nrrd"
        ):
            act(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path, monkeypatch, code):
    path = tmp_path / "case.nii.gz"
    write_volume(path, volume_of(np.eye(4)))

    def full(target, array, affine):
        target.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(nifti, "write_nifti", full)
    expected = "the disk is full" if code == errno.ENOSPC else "cannot be written: Permission denied"
    with pytest.raises(InputError, match=rf"case\.nii\.gz: {expected}"):
        write_volume(path, Volume(np.zeros(SHAPE), np.eye(4)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.nii.gz"]
    np.testing.assert_array_equal(read_volume(path).array, volume_of(np.eye(4)).array)


@pytest.mark.parametrize(
    ("shift_mm", "expected"),
    [(0.0, True), (0.04, True), (0.06, False), (5.0, False)],  # spacing 1 mm: 5 % of it is 0.05 mm
)
def test_grids_are_the_same_within_five_percent_of_a_voxel(shift_mm, expected):
    shifted = nib.affines.from_matvec(np.eye(3), [0, 0, shift_mm])
    assert same_grid(Grid(SHAPE, np.eye(4)), Grid(SHAPE, shifted)) is expected


def test_a_small_error_of_spacing_counts_at_the_far_corner():
    stretched = np.diag([1.001, 1.0, 1.0, 1.0])
    assert same_grid(Grid((40, 4, 5), np.eye(4)), Grid((40, 4, 5), stretched))
    assert not same_grid(Grid((80, 4, 5), np.eye(4)), Grid((80, 4, 5), stretched))


def test_files_on_different_grids_are_both_named(tmp_path):
    label, image = tmp_path / "label.nii", tmp_path / "image.nii"
    with pytest.raises(
        InputError, match=r"label\.nii: its shape is \(3, 4, 6\), expected \(3, 4, 5\) as image\.nii has"
    ):
        require_same_grid(Grid((3, 4, 6), np.eye(4)), label, Grid(SHAPE, np.eye(4)), image)
    with pytest.raises(InputError, match=r"label\.nii: its voxels do not lie where those of image\.nii lie"):
        require_same_grid(Grid(SHAPE, OBLIQUE), label, Grid(SHAPE, np.eye(4)), image)
