import numpy as np
import pytest

from voxseed.data.labels import Labels
from voxseed.data.relabelling import added_by, changed_table, changed_values, value_changes
from voxseed.errors import InputError

TABLE = {"background": 0, "tumour": 1, "cyst": 2}


@pytest.mark.parametrize(
    ("table", "renames", "added", "expected"),
    [
        (TABLE, {"cyst": "node"}, [], {"background": 0, "tumour": 1, "node": 2}),
        (TABLE, {"cyst": "tumour", "tumour": "cyst"}, [], {"background": 0, "cyst": 1, "tumour": 2}),
        (TABLE, {"lump": "cyst"}, ["tumour"], TABLE),  # made already
        (TABLE, {}, ["node", "vein"], {**TABLE, "node": 3, "vein": 4}),
        ({**TABLE, "ignore": 3}, {}, ["node"], {**TABLE, "node": 3, "ignore": 4}),
        ({**TABLE, "ignore": 9}, {}, ["node"], {**TABLE, "node": 3, "ignore": 9}),  # still the highest
        ({**TABLE, "ignore": 3}, {"tumour": "lump"}, [], {"background": 0, "lump": 1, "cyst": 2, "ignore": 3}),
    ],
)
def test_the_table_after_a_change(table, renames, added, expected):
    assert dict(changed_table(Labels(table), renames, added)) == expected


@pytest.mark.parametrize(
    ("renames", "added", "message"),
    [
        ({"lung": "vein"}, [], "--rename lung=vein: no class 'lung' in the labels"),
        ({"tumour": "cyst"}, [], "two classes would be called 'cyst'"),
        ({"tumour": "ignore"}, [], "'ignore' cannot be the name of a class"),
        ({"background": "air"}, [], "'background' cannot be the name of a class"),
        ({}, ["cyst#2"], "'cyst#2' cannot be the name of a class.*without a number after #"),
        ({}, [""], "'' cannot be the name of a class"),
    ],
)
def test_a_change_that_cannot_be_is_a_sentence(renames, added, message):
    with pytest.raises(InputError, match=message):
        changed_table(Labels(TABLE), renames, added)


def test_a_complete_list_adds_what_is_new():
    assert added_by(["background", "lump", "node", "cyst"], Labels(TABLE), {"tumour": "lump"}) == ["node"]
    with pytest.raises(InputError, match=r"--labels tumour,node: lacks 'cyst'.*--rename cyst=NEW"):
        added_by(["tumour", "node"], Labels(TABLE), {})


def test_values_follow_their_names():
    old = Labels({"background": 0, "tumour": 1, "cyst": 2})
    new = Labels({"background": 0, "cyst": 1, "lump": 2, "node": 3})
    changes = value_changes(old, new, {"tumour": "lump"})
    assert changes == {0: 0, 1: 2, 2: 1, 3: 4}
    assert changed_values(np.array([[0, 1], [2, 3]], np.uint8), changes).tolist() == [[0, 2], [1, 4]]
