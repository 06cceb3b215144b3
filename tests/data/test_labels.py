import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxseed.data.labels import Labels, labels_from_json
from voxseed.errors import InputError, UnknownNameError
from voxseed.types import IGNORE

# Values with a gap, so that value and class index differ; background is not first.
TABLE = {"tumour": 5, "background": 0, "cyst": 2, "ignore": 6}


def test_foreground_classes_are_in_the_order_of_their_values():
    labels = Labels(TABLE)
    assert labels.foreground == ("cyst", "tumour")
    assert labels.class_count == 3
    assert list(labels) == ["background", "cyst", "tumour", "ignore"]
    assert [labels.class_index(name) for name in ("background", "cyst", "tumour")] == [0, 1, 2]
    assert labels["tumour"] == 5
    assert labels == TABLE


def test_classes_given_by_name_get_values_from_one():
    assert Labels.of_foreground(["cyst", "tumour"]) == {"background": 0, "cyst": 1, "tumour": 2}


@pytest.mark.parametrize(
    ("table", "ignore_value", "next_ignore_value"),
    [
        (TABLE, 6, 6),
        ({"background": 0, "cyst": 1}, None, 2),
        ({"background": 0, "cyst": 7}, None, 8),
    ],
)
def test_ignore_is_the_highest_value_or_would_be_one_above(table, ignore_value, next_ignore_value):
    labels = Labels(table)
    assert labels.ignore_value == ignore_value
    assert labels.next_ignore_value == next_ignore_value
    assert labels.with_ignore().ignore_value == next_ignore_value
    assert "ignore" not in labels.without_ignore()
    assert labels.with_ignore().foreground == labels.without_ignore().foreground == labels.foreground


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_values_become_class_indices_and_back(dtype):
    labels = Labels(TABLE)
    values = np.array([[0, 2], [5, 6]], dtype=dtype)
    indices = labels.to_class_indices(values)
    assert indices.tolist() == [[0, 1], [2, IGNORE]]
    assert indices.dtype == np.uint8
    restored = labels.from_class_indices(indices)
    assert restored.tolist() == values.tolist()
    assert restored.dtype == np.uint8


def test_ignore_can_be_given_a_value_that_the_table_lacks():
    labels = Labels({"background": 0, "cyst": 1})
    assert labels.from_class_indices(np.array([0, 1, IGNORE]), ignore_value=2).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="Class indices 255 have no label value"):
        labels.from_class_indices(np.array([0, 1, IGNORE]))


@pytest.mark.parametrize("index", [-1, 2, 256])
def test_an_index_that_is_no_class_has_no_value(index):
    with pytest.raises(ValueError, match=f"Class indices {index} have no label value"):
        Labels.of_foreground(["cyst"]).from_class_indices(np.array([0, index]))


def test_values_above_255_are_kept_on_disk():
    labels = Labels({"background": 0, "cyst": 300})
    assert labels.from_class_indices(np.array([0, 1], np.uint8)).tolist() == [0, 300]
    assert labels.to_class_indices(np.array([300, 0])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "listed"),
    [([0, 1, 3, 2], "1, 3 are"), ([-1, 0], "-1 are"), (range(20), "1, 3, 4, 7, 8, 9, 10, 11, … are")],
)
def test_values_that_the_table_lacks_are_listed(values, listed):
    with pytest.raises(InputError, match=rf"map\.nii: label values {listed} not in the labels table .*'tumour': 5"):
        Labels(TABLE).to_class_indices(np.array(values), "map.nii")


def test_classes_in_a_map_leave_out_background_and_ignore():
    assert Labels(TABLE).classes_in(np.array([0, 6, 5, 5], np.uint8)) == {"tumour"}


@given(st.sets(st.integers(1, 1000), min_size=1, max_size=20), st.data())
def test_any_map_survives_a_round_trip(values, data):
    labels = Labels({"background": 0, **{f"class {value}": value for value in values}}).with_ignore()
    chosen = data.draw(st.lists(st.sampled_from(sorted(labels.values())), min_size=1))
    assert labels.from_class_indices(labels.to_class_indices(np.array(chosen))).tolist() == chosen


@pytest.mark.parametrize("name", ["lung", "ignore"])
def test_an_unknown_class_lists_the_known_ones(name):
    with pytest.raises(UnknownNameError, match=rf"Unknown class '{name}'\. Known: cyst, tumour"):
        Labels(TABLE).class_index(name)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"background": 0, "whole": [1, 2]}, r"label 'whole' is the region \[1, 2\]; region-based labels are not supp"),
        ({"0": "background", "1": "cyst"}, "label '0' has the value 'background', expected an integer from 0"),
        ({"background": 0, "cyst": 1.5}, "'cyst' has the value 1.5, expected an integer"),
        ({"background": 0, "cyst": True}, "'cyst' has the value True, expected an integer"),
        ({"background": 0, "cyst": -1}, "'cyst' has the value -1, expected an integer from 0"),
        ({"cyst": 1}, 'expected the label "background" with value 0'),
        ({"background": 1, "cyst": 2}, 'expected the label "background" with value 0'),
        ({"background": 0, "cyst": 1, "tumour": 1}, "two labels share a value"),
        ({"background": 0, "ignore": 1, "cyst": 2}, "'ignore' has the value 1, expected the highest of all, 3"),
        ({"background": 0}, "expected 1 to 254 foreground labels, found 0"),
        ({"background": 0, "ignore": 1}, "expected 1 to 254 foreground labels, found 0"),
        ({"background": 0, **{str(value): value for value in range(1, 256)}}, "expected 1 to 254 .*found 255"),
        ({}, 'expected labels such as {"background": 0, "tumour": 1}'),
        (["background", "cyst"], "expected labels such as"),
        (None, "expected labels such as"),
    ],
)
def test_a_wrong_table_is_refused(table, message):
    with pytest.raises(InputError, match=f"^dataset.json: .*{message}"):
        labels_from_json(table, "dataset.json")
