import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxseed.data.dividing import divide
from voxseed.errors import InputError


def alone(count):
    return {f"case_{number}": [f"case_{number}"] for number in range(count)}


@pytest.mark.parametrize(
    ("sizes", "folds", "test_share", "test_count", "val_counts"),
    [
        ([1] * 10, 5, 0.0, 0, [2, 2, 2, 2, 2]),
        ([1] * 10, 5, 0.2, 2, [2, 2, 2, 1, 1]),
        ([1] * 10, 3, 0.01, 1, [3, 3, 3]),  # a share above 0 is at least one group
        ([1] * 7, 2, 0.5, 3, [2, 2]),  # one more would be as far from 3.5 on the other side
        ([2] * 5, 5, 0.0, 0, [2, 2, 2, 2, 2]),
        ([4, 1, 1, 1, 1], 2, 0.0, 0, [4, 4]),  # the large group first
    ],
)
def test_sizes_of_the_parts(sizes, folds, test_share, test_count, val_counts):
    groups = {f"p{n}": [f"p{n}_{scan}" for scan in range(size)] for n, size in enumerate(sizes)}
    splits = divide(groups, folds, test_share)
    assert len(splits.test) == test_count
    assert [len(fold.val) for fold in splits.folds] == val_counts


@given(
    sizes=st.lists(st.integers(1, 4), min_size=8, max_size=20),
    folds=st.integers(2, 4),
    test_share=st.sampled_from([0.0, 0.1, 0.25]),
    seed=st.integers(0, 5),
)
def test_no_group_is_torn_apart_and_every_case_has_its_place(sizes, folds, test_share, seed):
    groups = {f"p{n}": [f"p{n}_{scan}" for scan in range(size)] for n, size in enumerate(sizes)}
    splits = divide(groups, folds, test_share, seed)
    cases = {case for members in groups.values() for case in members}
    validated = [case for fold in splits.folds for case in fold.val]
    assert sorted([*splits.test, *validated]) == sorted(cases)
    for fold in splits.folds:
        assert {*fold.train} == cases - {*splits.test} - {*fold.val}
        assert fold.val
    for part in (splits.test, *(fold.val for fold in splits.folds)):
        patients = {case.split("_")[0] for case in part}
        assert {*part} == {case for patient in patients for case in groups[patient]}


def test_the_seed_decides_and_the_order_of_the_listing_does_not():
    groups = alone(12)
    backwards = dict(reversed(groups.items()))
    assert divide(groups, 3, 0.2, seed=4) == divide(backwards, 3, 0.2, seed=4)
    assert divide(groups, 3, 0.2, seed=4) != divide(groups, 3, 0.2, seed=5)


def test_groups_that_must_be_tested_on_count_towards_the_share():
    splits = divide(alone(10), 2, 0.2, test_groups={"case_3", "stranger"})
    assert "case_3" in splits.test
    assert len(splits.test) == 2


def test_too_few_groups_are_a_sentence():
    with pytest.raises(InputError, match=r"--folds 5: expected at least 5 groups.* found 3 beside 1 for testing\. Ask"):
        divide(alone(4), 5, 0.2)
