"""Importing: what is in the new dataset, what is refused, and that nothing is left of a failure or of a name."""

import csv
import gzip
import json
import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from voxseed.data.checks import check_dataset
from voxseed.data.datasets import Dataset
from voxseed.data.volumes import Volume, read_volume, write_volume
from voxseed.errors import InputError
from voxseed.workflows.import_dataset import import_dataset

AFFINE = np.array([[-1.0, 0, 0, 5], [0, 0, 2, 6], [0, 1.5, 0, 7], [0, 0, 0, 1]])
ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def save(path, array=ARRAY, affine=AFFINE):
    write_volume(path, Volume(array, affine))


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def scans(tmp_path):
    for name in ("anna", "bert"):
        save(tmp_path / "scans" / f"{name}.nii.gz")
    return tmp_path / "scans"


@pytest.mark.parametrize("link", [False, True])
def test_files_are_taken_as_they_are(scans, tmp_path, link):
    dataset = import_dataset([scans], tmp_path / "out", ["tumour", "cyst"], channels=["CT"], link=link)
    assert (dataset.cases, dataset.channel_names, dataset.file_ending) == (("anna", "bert"), ("CT",), ".nii.gz")
    assert dict(dataset.labels) == {"background": 0, "tumour": 1, "cyst": 2}
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["numTraining"] == 2
    (path,) = dataset.image_paths("anna")
    assert path.read_bytes() == (scans / "anna.nii.gz").read_bytes()
    assert os.path.samefile(path, scans / "anna.nii.gz") == link
    assert not check_dataset(dataset.root).has_errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scans"]


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        ([".nii.gz"], ".nii.gz"),
        ([".nrrd"], ".nrrd"),
        ([".mha"], ".mha"),
        ([".mhd"], ".nii.gz"),  # two files each
        ([".nrrd", ".mha"], ".nii.gz"),
    ],
)
def test_the_ending_is_that_of_the_files_if_they_agree(tmp_path, endings, expected):
    for index, ending in enumerate(endings):
        save(tmp_path / "scans" / f"case{index}{ending}")
    dataset = import_dataset([tmp_path / "scans"], tmp_path / "out", ["a"])
    assert dataset.file_ending == expected
    for case in dataset.cases:
        image = dataset.read_image(case)
        np.testing.assert_array_equal(image.array[0], ARRAY)
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


def test_a_dicom_study_with_two_series(write_dicom, tmp_path):
    for number, description in enumerate(("T1 axial", "FLAIR axial")):
        write_dicom(tmp_path / "in" / str(number), ARRAY + number, SeriesDescription=description)
    dataset = import_dataset([tmp_path / "in"], tmp_path / "out", ["a"], channels=["FLAIR", "T1"])
    image = dataset.read_image("sally-77")
    np.testing.assert_array_equal(image.array, [ARRAY + 1, ARRAY])
    np.testing.assert_allclose(image.affine @ [1, 2, 3, 1], [9.5, -21.5, 37.5, 1], atol=1e-5)


def test_an_nnunet_dataset_keeps_labels_and_test_cases(tiny_dataset, tmp_path):
    source = Dataset.open(tiny_dataset)
    dataset = import_dataset([tiny_dataset], tmp_path / "out")
    assert (dataset.cases, dict(dataset.labels)) == (source.cases, dict(source.labels))
    for case in source.cases:
        assert dataset.label_path(case).read_bytes() == source.label_path(case).read_bytes()


def test_msd_channels_are_split(tmp_path):
    root = tmp_path / "in"
    save(root / "imagesTr" / "a.nii.gz", np.stack([ARRAY, ARRAY + 100], axis=-1))
    save(root / "labelsTr" / "a.nii.gz", (ARRAY > 30).astype(np.uint8))
    save(root / "imagesTs" / "b.nii.gz", np.stack([ARRAY, ARRAY + 100], axis=-1))
    content = {
        "modality": {"0": "FLAIR", "1": "T1w"},
        "labels": {"0": "background", "1": "edema"},
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
        "test": ["./imagesTs/b.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(content))
    dataset = import_dataset([root], tmp_path / "out")
    assert (dataset.cases, dataset.test_cases) == (("a",), ("b",))
    np.testing.assert_array_equal(dataset.read_image("a").array, [ARRAY, ARRAY + 100])
    np.testing.assert_array_equal(dataset.read_label("a").array, ARRAY > 30)
    assert not check_dataset(dataset.root).has_errors


def test_bids_sessions_are_cases(tmp_path):
    for session in ("ses-1", "ses-2"):
        save(tmp_path / "in" / "sub-1" / session / "anat" / f"sub-1_{session}_T1w.nii.gz")
    dataset = import_dataset([tmp_path / "in"], tmp_path / "out", ["a"])
    assert (dataset.cases, dataset.channel_names) == (("sub-1_ses-1", "sub-1_ses-2"), ("T1w",))


def test_several_sources_become_one_dataset(scans, write_dicom, tmp_path):
    write_dicom(tmp_path / "dicom", ARRAY)
    dataset = import_dataset([scans / "anna.nii.gz", tmp_path / "dicom"], tmp_path / "out", ["a"], channels=["CT"])
    assert (dataset.cases, dataset.file_ending) == (("anna", "sally-77"), ".nii.gz")


def test_a_dry_run_shows_the_table_and_writes_nothing(scans, tmp_path):
    before, plans = files(tmp_path), []
    assert import_dataset([scans], tmp_path / "out", ["a"], dry_run=True, show=plans.append) is None
    assert files(tmp_path) == before
    (plan,) = plans
    assert plan.header() == ("case", "source", "shape", "spacing mm", "label", "will be called")
    assert plan.rows()[0] == ("anna", "anna.nii.gz", "3 × 4 × 5", "1 × 1.5 × 2", "no", "anna")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("anna b", "anna-b"), ("ann/a", "a"), ("§§müller..", "müller"), ("--x", "x"), ("a;rm -rf", "a-rm--rf")],
)
def test_names_become_safe_file_names(tmp_path, name, expected):
    save(tmp_path / "scans" / f"{name}.nii.gz")
    assert import_dataset([tmp_path / "scans"], tmp_path / "out", ["a"]).cases == (expected,)


SECRET = b"Secret"


def secretive_nifti(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(ARRAY, AFFINE)
    for field in ("descrip", "db_name", "intent_name", "aux_file"):
        image.header[field] = SECRET
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET))
    nib.save(image, path)


def secretive_itk(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(ARRAY)
    image.SetMetaData("PatientName", SECRET.decode())
    sitk.WriteImage(image, str(path))


def unpacked(content):
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", "dicom"])
def test_no_trace_of_the_name_is_left(write_dicom, tmp_path, ending):
    source = tmp_path / "Secret_Sally"
    if ending == "dicom":
        write_dicom(source / "Secret", ARRAY, PatientID="Secret-77", SeriesDescription="Secret series")
        (source / "Secret.txt").write_text("hello")
    else:
        (secretive_nifti if ending.startswith(".nii") else secretive_itk)(source / f"Secret{ending}")
        assert any(SECRET in unpacked(content) for content in files(source).values())
    plans = []
    dataset = import_dataset([source], tmp_path / "out", ["a"], pseudonymise=True, show=plans.append)
    assert dataset.cases == ("case_001",)
    for name, content in files(tmp_path / "out").items():
        assert b"secret" not in name.lower().encode() + content.lower() + unpacked(content).lower()
    assert plans[0].notes == (("1 file left out, not DICOM.",) if ending == "dicom" else ())
    assert "secret" not in str([plans[0].header(), plans[0].rows(), plans[0].notes]).lower()
    np.testing.assert_array_equal(
        np.sort(dataset.read_image("case_001").array[0], axis=None), np.sort(ARRAY, axis=None)
    )
    key = tmp_path / "out-key.csv"
    ((case, name, sources),) = list(csv.reader(key.read_text().splitlines()))[1:]
    assert case == "case_001"
    assert name.startswith("Secret")
    assert str(source) in sources
    assert key.stat().st_mode & 0o077 == 0


def test_the_key_tells_which_case_is_which(tmp_path):
    for number in range(12):
        save(tmp_path / "scans" / f"p{number}.nii.gz", ARRAY + number)
    dataset = import_dataset([tmp_path / "scans"], tmp_path / "out", ["a"], pseudonymise=True)
    assert dataset.cases == tuple(f"case_{number:03d}" for number in range(1, 13))
    for row in csv.DictReader((tmp_path / "out-key.csv").read_text().splitlines()):
        assert dataset.read_image(row["case"]).array.min() == int(row["name at source"][1:])


def broken(path):
    path.write_bytes(path.read_bytes()[:-20])


def nan(path):
    save(path, np.where(ARRAY == 7, np.nan, ARRAY.astype(np.float32)))


@pytest.mark.parametrize("pseudonymise", [False, True])
@pytest.mark.parametrize(
    ("spoil", "sentence"), [(broken, r"bert\.nii\.gz: truncated or damaged"), (nan, r"bert.*1 voxels are NaN")]
)
def test_a_damaged_image_leaves_nothing(scans, tmp_path, spoil, sentence, pseudonymise):
    spoil(scans / "bert.nii.gz")
    before = files(tmp_path)
    with pytest.raises(InputError, match=sentence):
        import_dataset([scans], tmp_path / "out", ["a"], pseudonymise=pseudonymise)
    assert files(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scans"]


def test_every_bad_case_is_named_after_the_table(scans, tmp_path):
    for name in ("bert", "cora"):
        save(scans / f"{name}.nii.gz", ARRAY[..., None].repeat(3, -1))
    plans = []
    with pytest.raises(InputError, match=r"2 cases cannot be imported, so nothing was\.\n.*bert.*3D.*\n.*cora"):
        import_dataset([scans], tmp_path / "out", ["a"], show=plans.append)
    assert [row[-1] for row in plans[0].rows()] == ["anna", "cannot be imported", "cannot be imported"]


def test_channels_on_different_grids_are_refused(tmp_path):
    save(tmp_path / "in" / "a_T1.nii.gz")
    save(tmp_path / "in" / "a_T2.nii.gz", ARRAY[1:])
    with pytest.raises(InputError, match=r"a_T2\.nii\.gz: its shape is \(2, 4, 5\), expected \(3, 4, 5\)"):
        import_dataset([tmp_path / "in"], tmp_path / "out", ["a"], channels=["T1", "T2"])


def test_a_link_to_another_disk_is_refused(scans, tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(InputError, match=r"--link: another disk than --out\. Leave --link out"):
        import_dataset([scans], tmp_path / "out", ["a"], link=True)
    assert not (tmp_path / "out").exists()


def test_labels_that_dataset_json_does_not_name_are_refused(tiny_dataset, tmp_path):
    source = Dataset.open(import_dataset([tiny_dataset], tmp_path / "in").root)
    save(source.label_path("ball_1"), np.full((24, 20, 16), 7), read_volume(source.label_path("ball_1")).affine)
    with pytest.raises(InputError, match=r"labelsTr/ball_1\.nii\.gz: label values 7 are not in the labels table"):
        import_dataset([source.root], tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sources": []}, "nothing to import"),
        ({"classes": []}, "says nothing about classes. Name what you will annotate: --classes tumour"),
        ({"classes": ["a", "a"]}, "--classes a,a: expected different names"),
        ({"classes": ["ignore"]}, "--classes ignore: ignore is a reserved word and cannot be a class.*tumour"),
        ({"classes": ["a", "background"]}, "--classes a,background: background is a reserved word"),
        ({"channels": ["T1", ""]}, "--channels T1,: expected different names"),
        ({"series": "("}, r"--series \(: no regular expression"),
        ({"link": True, "pseudonymise": True}, "--link with --pseudonymise: linked files keep their headers"),
        ({"out": "full"}, "full: is there already and not empty"),
        ({"out": "full", "sources": ["none"]}, "full: is there already and not empty"),  # before sources are read
        ({"out": "full", "dry_run": True}, "full: is there already and not empty"),
        ({"sources": ["empty"]}, "empty: an empty folder. Give images, a folder of them, or one of DICOM files"),
        ({"pseudonymise": True, "out": "keyed"}, r"keyed-key\.csv: is there already"),
        ({"sources": ["scans", "more"]}, r"duplicate case Anna, .*scans/anna\.nii\.gz would be called the same"),
        ({"sources": ["scans", "data"]}, r"data: its channels are MRI, those of .*scans are image"),
        ({"sources": ["data"], "classes": ["cube"]}, r"--classes cube: the dataset\.json of .*data names ball"),
    ],
)
def test_wrong_arguments(scans, tiny_dataset, tmp_path, arguments, sentence):
    save(tmp_path / "full" / "x.nii")
    save(tmp_path / "more" / "Anna.nii.gz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "keyed-key.csv").write_text("precious")
    (tmp_path / "data").symlink_to(tiny_dataset)
    before = files(tmp_path)
    given = {"sources": ["scans"], "out": "out", "classes": ["a"], **arguments}
    sources = [tmp_path / source for source in given.pop("sources")]
    with pytest.raises(InputError, match=sentence):
        import_dataset(sources, tmp_path / given.pop("out"), given.pop("classes"), **given)
    assert files(tmp_path) == before
