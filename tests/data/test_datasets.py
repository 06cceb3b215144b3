import json
import stat

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.labels import Labels
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError, ShapeError

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
SHAPE = (4, 5, 6)
IMAGE = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[1:3, 2, 2:5] = 1


@pytest.fixture
def root(tmp_path):
    """Two channels, two cases, one with a label, and a test case."""
    dataset = Dataset.create(tmp_path / "dataset", "Heads", ["T1", "T2"], ["tumour", "cyst"])
    dataset.write_case("b", IMAGE, AFFINE, LABEL)
    dataset.write_case("a", -IMAGE, AFFINE)
    dataset.write_case("t", IMAGE, AFFINE, LABEL, test=True)
    return dataset.root


def change_json(root, **changes):
    content = json.loads((root / "dataset.json").read_text())
    (root / "dataset.json").write_text(json.dumps({**content, **changes}))


def test_a_written_dataset_is_read_back(root):
    dataset = Dataset.open(root)
    assert (dataset.name, dataset.channel_names, dataset.file_ending) == ("Heads", ("T1", "T2"), ".nii.gz")
    assert dataset.labels == {"background": 0, "tumour": 1, "cyst": 2}
    assert (dataset.cases, dataset.test_cases) == (("a", "b"), ("t",))
    assert [dataset.has_label(case) for case in ("a", "b", "t")] == [False, True, True]
    image = dataset.read_image("b")
    np.testing.assert_array_equal(image.array, IMAGE)
    assert image.array.dtype == np.float32
    assert image.shape == SHAPE
    assert image.spacing_mm == (1, 2, 3)
    np.testing.assert_array_equal(dataset.read_image("a").array, -IMAGE)
    assert dataset.read_label("a") is None
    for case in ("b", "t"):
        np.testing.assert_array_equal(dataset.read_label(case).array, LABEL)


def test_the_file_names_are_those_of_nnunet(root):
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    images = {f"imagesTr/{case}_{channel}.nii.gz" for case in "ab" for channel in ("0000", "0001")}
    test = {"imagesTs/t_0000.nii.gz", "imagesTs/t_0001.nii.gz", "labelsTs/t.nii.gz"}
    assert files == {"dataset.json", "labelsTr/b.nii.gz"} | images | test
    assert json.loads((root / "dataset.json").read_text()) == {
        "name": "Heads",
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "tumour": 1, "cyst": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha", ".mhd"])
def test_the_file_ending_of_the_dataset_is_honoured(tmp_path, ending):
    labels = Labels({"background": 0, "tumour": 3, "ignore": 4})
    dataset = Dataset.create(tmp_path, "Heads", ["CT"], labels, file_ending=ending)
    dataset.write_case("a", IMAGE[:1], AFFINE, LABEL * 3)
    found = Dataset.open(tmp_path)
    assert found.labels == labels
    assert found.image_paths("a") == (tmp_path / f"imagesTr/a_0000{ending}",)
    np.testing.assert_array_equal(found.read_image("a").array, IMAGE[:1])
    np.testing.assert_array_equal(found.read_label("a").array, LABEL * 3)
    np.testing.assert_allclose(found.read_grid("a").affine, AFFINE)


def test_adding_a_case_keeps_what_else_dataset_json_says(root):
    change_json(root, licence="CC BY 4.0")
    Dataset.open(root).write_case("c", IMAGE, AFFINE)
    content = json.loads((root / "dataset.json").read_text())
    assert (content["licence"], content["numTraining"]) == ("CC BY 4.0", 3)


def test_a_case_can_be_replaced(root):
    dataset = Dataset.open(root)
    dataset.write_case("a", IMAGE + 1, AFFINE)
    np.testing.assert_array_equal(dataset.read_image("a").array, IMAGE + 1)
    assert dataset.cases == ("a", "b")


def test_a_read_only_dataset_is_opened_and_left_as_it_is(root):
    before = sorted(path for path in root.rglob("*"))
    for path in before:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    dataset = Dataset.open(root)
    dataset.read_image("b")
    dataset.splits()
    assert sorted(path for path in root.rglob("*")) == before
    for path in before:
        path.chmod(stat.S_IRWXU)


def test_opening_lists_each_folder_once_however_many_cases_there_are(tmp_path, file_accesses):
    counts = []
    for cases in (3, 300):
        root = tmp_path / str(cases)
        Dataset.create(root, "Many", ["T1", "T2"], ["tumour"])
        (root / "imagesTr").mkdir()
        for number in range(cases):
            for channel in ("0000", "0001"):
                (root / f"imagesTr/case{number:04d}_{channel}.nii.gz").touch()
        counts.append(file_accesses(lambda root=root: Dataset.open(root)))
    assert counts[0] == counts[1]
    assert len(Dataset.open(tmp_path / "300").cases) == 300


def test_case_names_may_hold_underscores_and_digits(tmp_path):
    Dataset.create(tmp_path, "Heads", ["T1"], ["tumour"])
    for name in ("patient_0001_0000", "a.b_0000"):
        write_volume(tmp_path / f"imagesTr/{name}.nii.gz", Volume(IMAGE[0], AFFINE))
    assert Dataset.open(tmp_path).cases == ("a.b", "patient_0001")


def test_hidden_and_foreign_files_are_left_alone(root):
    (root / "imagesTr/.DS_Store").touch()
    (root / "imagesTr/._a_0000.nii.gz").touch()
    (root / "imagesTr/notes.txt").touch()
    assert Dataset.open(root).cases == ("a", "b")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such dataset folder"):
        Dataset.open(tmp_path / "nowhere")


def test_a_file_is_told_how_to_become_a_dataset(tmp_path):
    (tmp_path / "scan.nii.gz").touch()
    sentence = (
        r"scan\.nii\.gz: a file, expected the folder of a dataset\..* import .*scan\.nii\.gz --out .*scan-dataset"
    )
    with pytest.raises(InputError, match=sentence):
        Dataset.open(tmp_path / "scan.nii.gz")


def test_a_bare_folder_of_images_is_told_how_to_become_a_dataset(tmp_path):
    write_volume(tmp_path / "scan.nii.gz", Volume(IMAGE[0], AFFINE))
    with pytest.raises(InputError, match=r"without dataset\.json.*imagesTr/CASE_0000\.nii\.gz") as caught:
        Dataset.open(tmp_path)
    # The dataset.json in the sentence works.
    (tmp_path / "dataset.json").write_text(str(caught.value).split("adapted: ")[1])
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "scan.nii.gz").rename(tmp_path / "imagesTr/scan_0000.nii.gz")
    dataset = Dataset.open(tmp_path)
    assert dataset.cases == ("scan",)
    assert dataset.labels.foreground == ("tumour",)
    assert dataset.name == tmp_path.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel_names": None}, "expected channel_names such as"),
        ({"channel_names": {}}, "expected channel_names such as"),
        ({"channel_names": ["T1"]}, "expected channel_names such as"),
        ({"channel_names": {"1": "T1", "2": "T2"}}, "expected channel_names such as"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "region-based labels are not supported"),
        ({"file_ending": ".png"}, r"file_ending is '.png', expected one of \.nii, \.nii\.gz"),
        ({"file_ending": None}, "file_ending is None, expected one of"),
    ],
)
def test_a_wrong_dataset_json_is_refused(root, changes, message):
    change_json(root, **changes)
    with pytest.raises(InputError, match=rf"dataset\.json: .*{message}"):
        Dataset.open(root)


@pytest.mark.parametrize("key", ["channel_names", "labels", "file_ending"])
def test_a_missing_part_of_dataset_json_is_named(root, key):
    content = json.loads((root / "dataset.json").read_text())
    del content[key]
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"dataset\.json: '{key}' is missing"):
        Dataset.open(root)


@pytest.mark.parametrize(("text", "message"), [("{", "expected a JSON file"), ("[]", "expected an object")])
def test_a_dataset_json_that_is_no_object_is_refused(root, text, message):
    (root / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=rf"dataset\.json: {message}"):
        Dataset.open(root)


def rename(source, target):
    return lambda root: (root / source).rename(root / target)


def copy(source, target):
    return lambda root: (root / target).write_bytes((root / source).read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda root: (root / "imagesTr/a_0001.nii.gz").unlink(),
            r"a_0001\.nii\.gz: missing channel of case a;",
        ),
        (copy("imagesTr/a_0000.nii.gz", "imagesTr/a_0002.nii.gz"), r"a_0002\.nii\.gz: dataset\.json names 2 channel"),
        (
            copy("imagesTr/a_0000.nii.gz", "imagesTr/a_0000.nii"),
            r"duplicate case, a_0000\.nii\.gz is there as a_0",
        ),
        (copy("labelsTr/b.nii.gz", "labelsTr/b.mha"), r"duplicate case, b\.nii\.gz is there as b\.mha"),
        (rename("labelsTr/b.nii.gz", "labelsTr/b.nii"), r"b\.nii: expected the ending \.nii\.gz"),
        (rename("imagesTr/a_0000.nii.gz", "imagesTr/a.nii.gz"), r"a\.nii\.gz: expected a name that ends in the chann"),
        (rename("imagesTs/t_0000.nii.gz", "imagesTs/u_0000.nii.gz"), r"t_0000\.nii\.gz: missing channel of case t"),
        (
            lambda root: [copy(f"imagesTr/a_{n}.nii.gz", f"imagesTr/A_{n}.nii.gz")(root) for n in ("0000", "0001")],
            "duplicate case, the names A and a differ only in upper and lower case",
        ),
        (
            lambda root: [copy(f"imagesTr/a_{n}.nii.gz", f"imagesTs/a_{n}.nii.gz")(root) for n in ("0000", "0001")],
            "duplicate case, a is in imagesTr and in imagesTs",
        ),
        (
            lambda root: [path.unlink() for path in root.glob("images*/*")],
            r"imagesTr: no cases; expected files such as CASE_0000\.nii\.gz",
        ),
    ],
)
def test_wrong_files_are_refused(root, damage, message):
    damage(root)
    with pytest.raises(InputError, match=message):
        Dataset.open(root)


def test_an_unknown_case_is_refused(root):
    dataset = Dataset.open(root)
    for read in (dataset.read_image, dataset.read_label, dataset.has_label, dataset.read_grid):
        with pytest.raises(InputError, match="no case 'x'; it has 2"):
            read("x")


@pytest.mark.parametrize(
    ("path", "volume", "message"),
    [
        (
            "imagesTr/b_0001",
            Volume(IMAGE[0, 1:], AFFINE),
            r"b_0001\.nii\.gz: its shape is .*6\), expected .*6\)",
        ),
        (
            "imagesTr/b_0001",
            Volume(IMAGE[0], 2 * AFFINE),
            r"b_0001\.nii\.gz: its voxels do not lie where those",
        ),
        ("imagesTr/b_0001", Volume(np.full(SHAPE, np.nan), AFFINE), r"b_0001\.nii\.gz: 120 voxels are NaN or infinite"),
        ("labelsTr/b", Volume(LABEL[1:], AFFINE), r"b\.nii\.gz: its shape is \(3, 5, 6\), expected \(4, 5, 6\)"),
        ("labelsTr/b", Volume(LABEL, 2 * AFFINE), r"b\.nii\.gz: its voxels do not lie where those of b_0000"),
        ("labelsTr/b", Volume(LABEL * 7, AFFINE), r"b\.nii\.gz: label values 7 are not in the labels table"),
        ("labelsTr/b", Volume(LABEL * 0.5, AFFINE), r"b\.nii\.gz: a label map has integer values"),
    ],
)
def test_a_wrong_image_or_label_is_refused(root, path, volume, message):
    write_volume(root / f"{path}.nii.gz", volume)
    dataset = Dataset.open(root)
    with pytest.raises(InputError, match=message):
        dataset.read_image("b"), dataset.read_label("b")


def test_creating_a_dataset_twice_is_refused(root):
    with pytest.raises(InputError, match="there is a dataset already"):
        Dataset.create(root, "Heads", ["T1"], ["tumour"])


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (IMAGE[:1], None, r"Expected an image \(2, I, J, K\), found shape \(1, 4, 5, 6\)"),
        (IMAGE[0], None, r"Expected an image \(2, I, J, K\), found shape \(4, 5, 6\)"),
        (IMAGE, LABEL[1:], r"Expected a label of shape \(4, 5, 6\), found \(3, 5, 6\)"),
    ],
)
def test_arrays_that_do_not_fit_are_not_written(root, image, label, message):
    with pytest.raises(ShapeError, match=message):
        Dataset.open(root).write_case("c", image, AFFINE, label)
    assert Dataset.open(root).cases == ("a", "b")


def test_annotation_sets_are_found_by_name_and_by_path(root, tmp_path):
    from voxseed.data.annotation_sets import AnnotationSet

    dataset = Dataset.open(root)
    with pytest.raises(InputError, match=r"no annotation set\. Annotate with voxseed annotate"):
        dataset.annotations()
    AnnotationSet.create(root / "annotations/points", dataset.labels, "points")
    assert dataset.annotation_sets() == ("points",)
    assert dataset.annotations().name == "points"
    AnnotationSet.create(root / "annotations/boxes", dataset.labels, "box")
    AnnotationSet.create(tmp_path / "elsewhere", dataset.labels, "box", seed=3)
    assert dataset.annotation_sets() == ("boxes", "points")
    with pytest.raises(InputError, match="several annotation sets, choose one of boxes, points"):
        dataset.annotations()
    assert dataset.annotations("boxes").protocol == "box"
    assert dataset.annotations(tmp_path / "elsewhere").seed == 3
    with pytest.raises(InputError, match=r"scribbles: no such annotation set in .* \(there: boxes, points\)"):
        dataset.annotations("scribbles")


def test_splits_of_a_dataset_may_name_test_cases(root):
    (root / "splits.json").write_text('{"version": 1, "test": ["t"], "folds": [{"train": ["b"], "val": ["a"]}]}')
    assert Dataset.open(root).splits().train_cases(("a", "b")) == ("b",)


@pytest.mark.parametrize(
    ("name", "case_count", "fold"),
    [
        ("Dataset004_Hippocampus", 200, (140, 20, 40)),
        ("Dataset101_LeftAtrium", 70, (45, 5, 20)),
        ("Dataset102_ACDC", 60, (40, 4, 16)),
        ("Dataset103_LeftAtriumNative", 6, (0, 0, 6)),
    ],
)
def test_the_real_datasets_open(real_data, name, case_count, fold):
    dataset = Dataset.open(real_data / name)
    splits = dataset.splits()
    assert len(dataset.cases) == case_count
    counts = (len(splits.train_cases(dataset.cases)), len(splits.val_cases(dataset.cases)), len(splits.test))
    assert counts == fold
    image, label = dataset.read_image(dataset.cases[0]), dataset.read_label(dataset.cases[0])
    assert image.shape == label.shape
    assert dataset.labels.classes_in(label.array) == set(dataset.labels.foreground)
