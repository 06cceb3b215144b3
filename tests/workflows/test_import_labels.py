"""Importing painted maps: what each value becomes, which case a file is of, where it lies, each error's sentence."""

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError
from voxseed.workflows.import_labels import import_labels

SHAPE = (6, 5, 4)
AFFINE = np.array([[-0.9, 0.2, 0, 10], [0.2, 1.4, 0, -3], [0, 0, 2, 7], [0, 0, 0, 1]])
SLICER = np.zeros(SHAPE, np.uint8)  # 0 unpainted, 9 painted background
SLICER[1, 1, :] = [1, 2, 9, 9]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two cases, two classes."""
    data = Dataset.create(tmp_path_factory.mktemp("labels") / "data", "Scans", ["MRI"], ["tumour", "cyst"])
    for case in ("anna", "bert"):
        data.write_case(case, np.arange(120, dtype=np.float32).reshape(1, *SHAPE), AFFINE)
    return data


@pytest.fixture
def data(source, tmp_path):
    root = tmp_path / "data"
    (root / "imagesTr").mkdir(parents=True)
    for path in source.root.rglob("*.*"):
        if path.is_file():
            (root / path.relative_to(source.root)).hardlink_to(path)
    return Dataset.open(root)


def save(path, array=SLICER, affine=AFFINE):
    write_volume(path, Volume(np.asarray(array), affine))
    return path


def test_slicer_maps_become_a_set(data, tmp_path):
    for name in ("anna", "bert"):
        save(tmp_path / "maps" / f"{name}.nii.gz")
    summary = import_labels([tmp_path / "maps"], data.root, unannotated=[0], background=[9], set_name="strokes")
    assert summary.rows() == [
        ("background", 2, 4, "1.67%"),
        ("tumour", 2, 2, "0.83%"),
        ("cyst", 2, 2, "0.83%"),
        ("ignore", 2, 232, "96.67%"),
    ]
    assert len(summary.header()) == 4
    found = data.annotations("strokes")
    assert (found.protocol, found.cases) == ("painted", ("anna", "bert"))
    painted = found.read("anna").painted
    assert painted.array[1, 1].tolist() == [1, 2, 0, 0]
    assert (painted.array == 3).sum() == 116


@pytest.mark.parametrize(
    ("arguments", "row", "expected"),
    [
        ({"unannotated": [0], "background": [9]}, [1, 2, 9, 0], [1, 2, 0, 3]),
        ({"unannotated": [3]}, [0, 1, 2, 3], [0, 1, 2, 3]),  # as Voxseed writes it
        ({"unannotated": [0], "background": [3]}, [3, 1, 2, 0], [0, 1, 2, 3]),
        ({"unannotated": [0, 7]}, [1, 2, 7, 0], [1, 2, 3, 3]),
        ({"unannotated": [0], "names": {3: "cyst"}}, [3, 1, 2, 0], [2, 1, 2, 3]),
        ({"unannotated": [0], "names": {1: "cyst", 2: "tumour"}}, [1, 2, 0, 0], [2, 1, 3, 3]),
        ({"unannotated": [255]}, [0, 1, 255, 2], [0, 1, 3, 2]),
        ({"names": {4: "ignore", 5: "background"}}, [4, 5, 1, 4], [3, 0, 1, 3]),
        ({"protocol": "dense"}, [0, 1, 2, 0], [0, 1, 2, 0]),
    ],
)
def test_what_each_value_becomes(data, tmp_path, arguments, row, expected):
    array = np.full(SHAPE, row[-1], np.int16)
    array[0, 0] = row
    import_labels([save(tmp_path / "anna.nii.gz", array)], data.root, set_name="set", **arguments)
    assert data.annotations("set").read("anna").painted.array[0, 0].tolist() == expected


def test_the_value_of_ignore_needs_no_word_where_dataset_json_names_it(data, tmp_path):
    content = json.loads((data.root / "dataset.json").read_text())
    content["labels"]["ignore"] = 3
    (data.root / "dataset.json").unlink()  # a link to that of all tests
    (data.root / "dataset.json").write_text(json.dumps(content))
    array = np.full(SHAPE, 3, np.uint8)
    array[0, 0] = [0, 1, 2, 3]
    import_labels([save(tmp_path / "anna.nii.gz", array)], data.root, set_name="set")
    found = Dataset.open(data.root).annotations("set").read("anna").painted
    np.testing.assert_array_equal(found.array, array)


@pytest.mark.parametrize(
    "name", ["anna.nii.gz", "anna_0000.nii.gz", "anna.seg.nrrd", "anna-label.nrrd", "anna_0000_Segmentation.mha"]
)
def test_a_file_belongs_to_the_case_of_its_name(data, tmp_path, name):
    assert list(import_labels([save(tmp_path / name)], data.root, unannotated=[0], background=[9]).cases) == ["anna"]


@settings(max_examples=20)
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.booleans()] * 3))
def test_axes_in_another_order_are_turned_and_nothing_is_resampled(source, tmp_path_factory, order, flips):
    orientation = np.column_stack([order, [-1 if flip else 1 for flip in flips]])
    turned = nib.Nifti1Image(SLICER, AFFINE).as_reoriented(orientation)
    folder = tmp_path_factory.mktemp("turned")
    save(folder / "anna.nii.gz", np.asarray(turned.dataobj), turned.affine)
    import_labels([folder / "anna.nii.gz"], source.root, unannotated=[0], background=[9], out=folder / "set")
    painted = source.annotations(folder / "set").read("anna").painted
    np.testing.assert_array_equal(painted.array, np.array([3, 1, 2, 0, 0, 0, 0, 0, 0, 0])[SLICER])
    np.testing.assert_allclose(painted.affine, AFFINE, atol=1e-5)


MAPS = {
    "stranger": lambda folder: save(folder / "cora.nii.gz"),
    "longer": lambda folder: save(folder / "anna2.nii.gz"),
    "text": lambda folder: (folder / "anna.nii.gz").write_text("no image"),
    "shape": lambda folder: save(folder / "anna.nii.gz", SLICER[1:]),
    "place": lambda folder: save(folder / "anna.nii.gz", SLICER, AFFINE + np.eye(4)[:, [1, 2, 3, 0]] * 0.4),
    "fraction": lambda folder: save(folder / "anna.nii.gz", SLICER * np.float32(0.5)),
    "classes + 1": lambda folder: save(folder / "anna.nii.gz", np.minimum(SLICER, 3)),
    "values": lambda folder: save(folder / "anna.nii.gz", SLICER + 4),
    "empty": lambda folder: save(folder / "anna.nii.gz", SLICER * 0),
    "twice": lambda folder: (save(folder / "anna.nii.gz"), save(folder / "anna_seg.nii.gz")),
    "nothing": lambda folder: None,
    "fine": lambda folder: save(folder / "anna.nii.gz"),
}
SLICERS = {"unannotated": [0], "background": [9]}


@pytest.mark.parametrize(
    ("maps", "arguments", "message"),
    [
        (
            "stranger",
            SLICERS,
            r"cora\.nii\.gz: no case .* is called 'cora'; expected .* such as anna\.nii\.gz\. Rename",
        ),
        ("longer", SLICERS, "no case of the dataset is called 'anna2'"),
        ("text", SLICERS, r"anna\.nii\.gz: not a NIfTI image"),
        ("shape", SLICERS, r"anna\.nii\.gz: its shape is \(5, 5, 4\), expected \(6, 5, 4\) as anna_0000"),
        ("place", SLICERS, r"anna\.nii\.gz: its voxels do not lie where .*Resample"),
        ("fraction", SLICERS, "a label map has integer values, 3 voxels have not"),
        (
            "values",
            SLICERS,
            "116 voxels of the value 4, and of the values 5, 6, 13, .* --map 4=NAME, --background 4 or",
        ),
        (
            "classes + 1",  # common: 0 not looked at, 3 painted background; without a word it would mean the opposite
            {},
            r"2 voxels of the value 3, which no label .*\. If it is painted background, and nobody looked where 0 is: "
            "voxseed dataset import-labels MAPS --into DATASET --unannotated 0 --background 3. If nobody looked there, "
            "and 0 is background: voxseed dataset import-labels MAPS --into DATASET --unannotated 3. .*--map 3=NAME",
        ),
        (
            "classes + 1",
            {"unannotated": [0]},
            "2 voxels of the value 3, .* Say what it is: --map 3=NAME, --background 3",
        ),
        ("classes + 1", {"unannotated": [9]}, "2 voxels of the value 3, .* --unannotated 0 --background 3"),
        (
            "fine",
            {"unannotated": [0]},
            r"2 voxels of the value 9, which no label .* expected 0 \(background\), 1 \(tum",
        ),
        ("empty", SLICERS, "empty annotation, no voxel is annotated. Annotate the case"),
        (
            "fine",
            {"background": [9]},
            "is it dense, or painted with 0 for unannotated.*--unannotated 0.*--protocol dense",
        ),
        ("twice", SLICERS, r"anna_seg\.nii\.gz: a second map of case anna, .*anna\.nii\.gz is the first"),
        ("nothing", SLICERS, "maps: no label maps in this folder; expected files ending in .nii"),
        ("fine", {"unannotated": [0], "background": [0]}, "The value 0 is given twice"),
        ("fine", {"names": {3: "lung"}}, r"--map 3=lung: no label 'lung' in the dataset; expected 0 \(background\)"),
        ("fine", {"unannotated": [-1]}, "The value -1 is negative"),
        ("fine", {**SLICERS, "set_name": "a/b"}, "--set-name a/b: expected a plain name"),
        ("fine", {**SLICERS, "protocol": ""}, "--set-name : expected a plain name"),
        ("fine", {**SLICERS, "protocol": "", "set_name": "a"}, "--protocol: expected the kind of annotation"),
    ],
)
def test_wrong_input_is_a_sentence_and_nothing_is_written(data, tmp_path, maps, arguments, message):
    (tmp_path / "maps").mkdir()
    MAPS[maps](tmp_path / "maps")
    before = sorted(data.root.rglob("*"))
    with pytest.raises(InputError, match=message):
        import_labels([tmp_path / "maps"], data.root, **arguments)
    assert sorted(data.root.rglob("*")) == before


def test_a_set_that_is_there_is_left_alone(data, tmp_path):
    path = save(tmp_path / "anna.nii.gz")
    import_labels([path], data.root, **SLICERS)
    with pytest.raises(InputError, match=r"annotations/painted: is there already. Choose another name with --set-name"):
        import_labels([path], data.root, **SLICERS)
