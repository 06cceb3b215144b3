"""What a table may say, and what it may not."""

import pytest

from voxseed.benchmarks.definitions import Table
from voxseed.errors import InputError
from voxseed.settings import validate

FIRST = {"title": "first", "method": "pa-seg"}


def table(rows: dict, **values: object) -> Table:
    return validate(Table, {"title": "T", "baseline": next(iter(rows)), "rows": rows, **values}, "t.yaml")


def test_rows_bring_what_they_start_from_in_the_order_of_the_table() -> None:
    rows = {
        "other": {"title": "o", "method": "partial"},
        "first": FIRST,
        "second": {"title": "s", "method": "scm", "starts_from": {"primary": "first:primary"}},
        "both": {"title": "b", "run_of": "second", "ensemble": True},
    }
    assert table(rows).with_needed(("both",)) == ("first", "second", "both")
    assert table(rows).with_needed(("first", "other")) == ("other", "first")


@pytest.mark.parametrize(
    ("rows", "values", "sentence"),
    [
        ({"a": {"title": ""}}, {}, "expected exactly one of method, pseudo_label, run_of, made_by, found none"),
        ({"a": {**FIRST, "pseudo_label": True}}, {}, "found method, pseudo_label"),
        ({"a": {**FIRST, "ensemble": True, "member": "primary"}}, {}, "either ensemble or member"),
        ({"a": {"title": "", "pseudo_label": True, "starts_from": {"x": "y:z"}}}, {}, "starts_from is for rows with a"),
        ({"a": FIRST}, {"baseline": "b"}, "the baseline 'b' is no row"),
        ({"b": {"title": "", "run_of": "a"}, "a": FIRST}, {}, "row b: 'a' is no earlier row with a method"),
        (
            {"a": {"title": "", "pseudo_label": True}, "b": {"title": "", "run_of": "a"}},
            {},
            "row b: 'a' is no earlier row with a method",
        ),
        ({"a": FIRST, "b": FIRST}, {}, "two rows are called 'first'"),
        ({"a": FIRST, "b": {**FIRST, "starts_from": {"primary": "a"}}}, {}, "row b: expected ROW:member"),
        ({"a": {**FIRST, "settings": {"expansion": {"epsilon": 0.1}}}}, {}, "row a: all trained rows .* same growth"),
        ({"a": {**FIRST, "settings": {"expansion": None}}}, {}, "row a: settings.expansion: expected settings"),
        ({"A b": FIRST}, {"baseline": "A b"}, "rows"),
        (
            {"a": FIRST},
            {"figure": {"panels": [{"axis": "x", "lines": {"one": {"b": 1.0}}}]}},
            "figure, x: 'b' is no row",
        ),
        ({"a": {**FIRST, "colour": "red"}}, {}, "unknown setting"),
    ],
)
def test_a_table_that_makes_no_sense(rows: dict, values: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        table(rows, **values)


def test_a_trained_row_may_have_other_probabilities() -> None:
    expansion = {"probability": {"sigma_mm": 5}}
    assert table({"a": {**FIRST, "settings": {"expansion": expansion}}}).rows["a"].settings["expansion"] == expansion


def test_the_pseudo_label_may_be_grown_in_another_way() -> None:
    rows = {"a": {"title": "", "pseudo_label": True, "settings": {"expansion": {"epsilon": 0.1}}}}
    assert table(rows).rows["a"].settings["expansion"] == {"epsilon": 0.1}
