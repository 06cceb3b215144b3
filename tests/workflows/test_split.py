"""Splitting a dataset: patients stay together, nothing is written over, each error has its sentence."""

import json

import numpy as np
import pytest

from voxseed.data.datasets import Dataset
from voxseed.errors import InputError
from voxseed.workflows.split import split

NAMES = ("anna_1", "anna_2", "bert_1", "cora_1", "cora_2", "dora_1")


@pytest.fixture
def dataset(tmp_path):
    """Six cases of four patients, and a test case of one of them."""
    data = Dataset.create(tmp_path / "data", "Scans", ["MRI"], ["tumour"])
    for case in NAMES:
        data.write_case(case, np.zeros((1, 2, 2, 2), np.float32), np.eye(4))
    return data


def test_patients_stay_together_and_the_file_is_read_back(dataset):
    summary = split(dataset.root, 2, group=r"^([a-z]+)_", test_share=0.2)
    found = Dataset.open(dataset.root).splits()
    assert found == summary.splits
    for fold in found.folds:
        patients = [{case.split("_")[0] for case in part} for part in (found.test, fold.train, fold.val)]
        assert sum(len(part) for part in patients) == len(set.union(*patients)) == 4
    assert [row[0] for row in summary.rows()] == ["fold 0", "fold 1", "test"]
    assert sum(row[3] for row in summary.rows()) == 4
    assert len(summary.header()) == 4


def test_without_a_group_every_case_stands_alone(dataset):
    summary = split(dataset.root, 3)
    assert summary.rows() == [("fold 0", 4, 2, 2), ("fold 1", 4, 2, 2), ("fold 2", 4, 2, 2), ("test", 0, 0, 0)]
    assert json.loads(summary.path.read_text())["version"] == 1


def test_a_patient_with_a_test_case_is_never_trained_on(dataset):
    dataset.write_case("cora_3", np.zeros((1, 2, 2, 2), np.float32), np.eye(4), test=True)
    summary = split(dataset.root, 3, group="(.*)_")
    assert summary.splits.test == ("cora_1", "cora_2")


def test_the_same_seed_gives_the_same_file(dataset):
    first = split(dataset.root, 2, seed=3).path.read_bytes()
    assert split(dataset.root, 2, seed=3, replace=True).path.read_bytes() == first


@pytest.mark.parametrize("name", ["splits.json", "splits_final.json"])
def test_splits_that_are_there_are_left_alone(dataset, name):
    (dataset.root / name).write_text("[]")
    with pytest.raises(InputError, match=rf"{name}: there are splits already.*--replace"):
        split(dataset.root, 2)
    assert (dataset.root / name).read_text() == "[]"
    assert split(dataset.root, 2, replace=True).path.name == "splits.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "--folds 1: expected 2 or more"),
        ({"test_share": 1.0}, "--test-share 1: expected a share from 0 up to"),
        ({"test_share": -0.1}, "--test-share -0.1: expected"),
        ({"group": "("}, r"--group \(: no regular expression \(missing \)"),
        ({"group": "anna"}, "--group anna: expected a group in parentheses"),
        ({"group": "(anna)"}, r"--group \(anna\): finds no group in the case name 'bert_1'"),
        ({"group": "([a-z]+)_"}, "--folds 5: expected at least 5 groups of cases to divide, found 4 beside 0"),
    ],
)
def test_wrong_arguments_are_a_sentence_and_nothing_is_written(dataset, arguments, message):
    with pytest.raises(InputError, match=message):
        split(dataset.root, **arguments)
    assert not (dataset.root / "splits.json").exists()
