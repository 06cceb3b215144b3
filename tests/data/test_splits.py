import json

import pytest

from voxseed.data.splits import Fold, Splits, read_splits, read_splits_file
from voxseed.errors import InputError

CASES = ("a", "b", "c", "d", "e")
OURS = {
    "version": 1,
    "test": ["e"],
    "folds": [{"train": ["b", "a"], "val": ["c"]}, {"train": ["c"], "val": ["a", "d"]}],
}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_our_file_gives_the_cases_of_each_fold(tmp_path):
    write(tmp_path / "splits.json", OURS)
    splits = read_splits(tmp_path, CASES)
    assert splits == Splits(("e",), (Fold(("b", "a"), ("c",)), Fold(("c",), ("a", "d"))))
    assert splits.train_cases(CASES) == ("b", "a")
    assert splits.val_cases(CASES) == ("c",)
    assert splits.train_cases(CASES, fold=1) == ("c",)
    assert splits.val_cases(CASES, fold=1) == ("a", "d")
    assert splits.test_cases(CASES) == ("e",)


def test_only_the_cases_asked_about_are_given():
    splits = Splits(("e",), (Fold(("b", "a"), ("c", "d")),))
    annotated = ("a", "d")
    assert splits.train_cases(annotated) == ("a",)
    assert splits.val_cases(annotated) == ("d",)
    assert splits.test_cases(annotated) == ()


def test_without_a_file_every_case_is_trained_on_and_none_validated(tmp_path):
    splits = read_splits(tmp_path, CASES)
    assert splits.train_cases(("b", "d")) == ("b", "d")
    assert splits.val_cases(("b", "d")) == ()
    assert splits.test_cases(CASES) == ()


def test_without_folds_test_cases_are_not_trained_on():
    assert Splits(("b",)).train_cases(("a", "b", "c")) == ("a", "c")


def test_the_splits_of_nnunet_are_read_and_ours_come_first(tmp_path):
    write(tmp_path / "splits_final.json", OURS["folds"])
    assert read_splits(tmp_path, CASES) == Splits((), (Fold(("b", "a"), ("c",)), Fold(("c",), ("a", "d"))))
    write(tmp_path / "splits.json", OURS)
    assert read_splits(tmp_path, CASES).test == ("e",)


def test_written_splits_are_read_back(tmp_path):
    splits = Splits(("e",), (Fold(("b", "a"), ("c",)), Fold((), ())))
    splits.write(tmp_path / "splits.json")
    assert read_splits(tmp_path, CASES) == splits


@pytest.mark.parametrize(
    ("splits", "fold", "message"),
    [
        (Splits((), (Fold(("a",), ()),)), 1, r"--fold 1: the splits have 1 fold\(s\), 0 to 0"),
        (Splits((), (Fold(("a",), ()), Fold(("b",), ()))), -1, r"--fold -1: the splits have 2 fold\(s\), 0 to 1"),
        (Splits(), 1, r"--fold 1: the splits have 1 fold\(s\)"),
    ],
)
def test_a_fold_that_is_not_there_is_refused(splits, fold, message):
    for choose in (splits.train_cases, splits.val_cases):
        with pytest.raises(InputError, match=message):
            choose(CASES, fold)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**OURS, "test": ["x", "y"]}, "2 cases are not in the dataset, the first is 'x'"),
        ([{"train": ["a"], "val": ["x"]}], "1 cases are not in the dataset, the first is 'x'"),
        ({**OURS, "test": ["a"]}, "case 'a' occurs twice in test, train and val of fold 0"),
        ([{"train": ["a", "b"], "val": ["b"]}], "case 'b' occurs twice in test, train and val of fold 0"),
        ([{"train": ["a"], "val": []}, {"train": ["a", "a"], "val": []}], "'a' occurs twice in .* fold 1"),
        ({"version": 1, "test": ["a", "a"], "folds": []}, "case 'a' occurs twice in test"),
        ({**OURS, "version": 2}, "expected version 1, found 2"),
        ({"test": []}, "expected version 1, found None"),
        ({"version": 1, "folds": {"train": []}}, "folds are a list, found dict"),
        ([{"train": ["a"]}], r"fold 0 is no \{\"train\""),
        ([["a"]], r"fold 0 is no \{\"train\""),
        ({"version": 1, "test": "e"}, "test is a list of case names, found 'e'"),
        ([{"train": [1], "val": []}], r"train of fold 0 is a list of case names, found \[1\]"),
        ("7", r'expected \{"version": 1'),
        ("{", "expected a JSON file"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, content, message):
    path = write(tmp_path / "splits.json", content)
    with pytest.raises(InputError, match=rf"splits\.json: .*{message}"):
        read_splits_file(path, CASES)
