"""MSD, BIDS and nnU-Net folders: cases, channels and labels as the format says."""

import json
import re

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.data.sources.base import Wanted
from voxseed.data.sources.find import find_cases
from voxseed.data.volumes import Volume, write_volume
from voxseed.errors import InputError

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
ARRAY = np.arange(24.0).reshape(2, 3, 4)


def save(path, array=ARRAY):
    write_volume(path, Volume(array, AFFINE))


@pytest.fixture
def msd(tmp_path):
    """Two channels in 4D files, one labelled case, one test case."""
    for name in ("imagesTr/a", "imagesTs/b"):
        save(tmp_path / f"{name}.nii.gz", np.stack([ARRAY, ARRAY + 100], axis=-1))
    save(tmp_path / "labelsTr" / "a.nii.gz", (ARRAY > 20).astype(np.uint8))
    content = {
        "modality": {"0": "FLAIR", "1": "T1w"},
        "labels": {"0": "Background", "1": "edema"},
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
        "test": ["./imagesTs/b.nii.gz"],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path


def edit(root, **changes):
    path = root / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("channels", "names", "offsets"),
    [((), ("FLAIR", "T1w"), [0, 100]), (("T1w",), ("T1w",), [100]), (("T1w", "FLAIR"), ("T1w", "FLAIR"), [100, 0])],
)
def test_msd(msd, channels, names, offsets):
    found = find_cases(msd, Wanted(channels))
    assert (found.channel_names, dict(found.labels)) == (names, {"background": 0, "edema": 1})
    assert [(case.name, case.is_test, case.label is not None) for case in found.cases] == [
        ("a", False, True),
        ("b", True, False),
    ]
    for channel, offset in zip(found.cases[0].channels, offsets, strict=True):
        np.testing.assert_array_equal(channel.read().array, ARRAY + offset)
        assert channel.read_grid().shape == ARRAY.shape
    np.testing.assert_array_equal(found.cases[0].label.read().array, ARRAY > 20)


def test_nnunet_v1_lists_files_without_their_channel(msd):
    (msd / "imagesTr" / "a.nii.gz").unlink()
    for index in range(2):
        save(msd / "imagesTr" / f"a_000{index}.nii.gz", ARRAY + index)
    channels = find_cases(msd, Wanted()).cases[0].channels
    assert [channel.path.name for channel in channels] == ["a_0000.nii.gz", "a_0001.nii.gz"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"modality": None}, r"its modality, training or test is missing or wrong\. Expected as in"),
        ({"labels": {"tumour": 1}}, r"labels are \{'tumour': 1\}\. Expected as in"),
        ({"labels": {"0": "x", "1": "y", "2": "y"}}, "two labels share a name"),
        ({"labels": {"1": "y"}}, 'expected the label "background"'),
    ],
)
def test_a_wrong_msd_description(msd, changes, sentence):
    edit(msd, **changes)
    with pytest.raises(InputError, match=sentence):
        find_cases(msd, Wanted())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"test": ["./imagesTs/c.nii.gz"]}, r"c\.nii\.gz: no such file, but dataset\.json lists it"),
        ({"test": ["../c.nii.gz"]}, "lies outside the folder"),
        ({"test": [3]}, "3 names no image"),
        ({"modality": {"0": "A", "1": "B", "2": "C"}}, r"4D NIfTI image of 3 channels, .* found shape \(2, 3, 4, 2\)"),
    ],
)
def test_a_wrong_msd_case_is_a_problem(msd, changes, sentence):
    edit(msd, **changes)
    problems = find_cases(msd, Wanted()).problems
    assert any(re.search(sentence, problem) for problem in problems), problems


def test_a_channel_that_dataset_json_does_not_name(msd):
    with pytest.raises(InputError, match=r"has no channel T2; its dataset\.json names FLAIR, T1w"):
        find_cases(msd, Wanted(("T2",)))


@pytest.fixture
def bids(tmp_path):
    for path in (
        "sub-01/ses-1/anat/sub-01_ses-1_T1w",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-fast_FLAIR",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w",
        "sub-01/ses-2/anat/sub-01_ses-2_FLAIR",
        "sub-02/anat/sub-02_T1w",
        "sub-02/anat/sub-02_FLAIR",
        "sub-02/func/sub-02_bold",
    ):
        save(tmp_path / f"{path}.nii.gz")
    (tmp_path / "sub-02" / "anat" / "sub-02_T1w.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("channels", "names"), [((), ("FLAIR", "T1w")), (("T1w",), ("T1w",)), (("T1w", "FLAIR"), ("T1w", "FLAIR"))]
)
def test_bids(bids, channels, names):
    found = find_cases(bids, Wanted(channels))
    assert found.channel_names == names
    assert [case.name for case in found.cases] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert [c.path.name for c in found.cases[2].channels] == [f"sub-02_{name}.nii.gz" for name in names]
    assert found.labels is None


def test_bids_cases_of_different_images(bids):
    save(bids / "sub-02" / "anat" / "sub-02_T2w.nii.gz")
    with pytest.raises(InputError, match=r"not all cases have the same images: .*sub-02 has FLAIR, T1w, T2w"):
        find_cases(bids, Wanted())
    assert len(find_cases(bids, Wanted(("T1w",))).cases) == 3
    found = find_cases(bids, Wanted(("T2w",)))
    assert [case.name for case in found.cases] == ["sub-02"]
    assert "case sub-01_ses-1 has 0 images T2w, expected one; found" in found.problems[0]


def test_bids_runs_are_chosen_by_name(bids):
    save(bids / "sub-02" / "anat" / "sub-02_run-2_T1w.nii.gz")
    (problem,) = find_cases(bids, Wanted(("T1w",))).problems
    assert "2 images T1w, expected one; found sub-02_T1w.nii.gz, sub-02_run-2_T1w.nii.gz. Choose one with" in problem
    assert len(find_cases(bids, Wanted(("T1w",), re.compile("^(?!.*run-2)"))).cases) == 3


def test_nnunet(tmp_path):
    dataset = Dataset.create(tmp_path, "X", ["T1", "T2"], ["a", "b"], file_ending=".nrrd")
    dataset.write_case("c", np.stack([ARRAY, ARRAY + 1]), AFFINE, (ARRAY > 20).astype(np.uint8))
    dataset.write_case("d", np.stack([ARRAY, ARRAY + 1]), AFFINE, test=True)
    found = find_cases(tmp_path, Wanted(("T2",)))
    assert (found.channel_names, dict(found.labels)) == (("T2",), {"background": 0, "a": 1, "b": 2})
    assert [(case.name, case.is_test, case.label is not None) for case in found.cases] == [
        ("c", False, True),
        ("d", True, False),
    ]
    assert [channel.path.name for channel in found.cases[0].channels] == ["c_0001.nrrd"]
    assert found.notes == ()
    (tmp_path / "splits.json").write_text("{}")
    assert find_cases(tmp_path, Wanted()).notes == ("Annotation sets and splits are left out; copy them if need be.",)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        find_cases(tmp_path / "nowhere", Wanted())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Task01/dataset.json", r"there is a dataset in it, .*Task01\. Give that folder"),
        (
            "labelsTr/a.nii.gz",
            r"labelsTr holds label maps, but .* Write .*/dataset\.json, or give",
        ),
    ],
)
def test_label_maps_are_not_taken_for_images(tmp_path, name, sentence):
    save(tmp_path / "imagesTr" / "a.nii.gz")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=sentence):
        find_cases(tmp_path, Wanted())
