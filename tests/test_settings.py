"""Settings: validation sentences, overrides, files."""

from typing import Literal

import pytest
from pydantic import Field, field_validator

from voxseed.errors import InputError
from voxseed.settings import (
    Settings,
    assignments,
    first_difference,
    merged,
    read_yaml,
    validate,
    with_overrides,
    write_yaml,
)


class Inner(Settings):
    """A section."""

    rate: float = Field(0.5, ge=0, le=1)


class Outer(Settings):
    """Two levels."""

    inner: Inner = Inner()
    count: int = 3
    size: tuple[int, int] | Literal["auto"] = "auto"
    parts: dict[str, Inner] = Field(default={})

    @field_validator("parts")
    @classmethod
    def _few(cls, parts: dict[str, Inner]) -> dict[str, Inner]:
        if len(parts) > 1:
            raise ValueError("at most one")
        return parts


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("count=4", {"count": 4}),
        ("inner.rate=0.25", {"inner": {"rate": 0.25}}),
        ("inner.rate=null", {"inner": {"rate": None}}),
        ("list=[1, 2]", {"list": [1, 2]}),
        ("text=a=b", {"text": "a=b"}),
    ],
)
def test_overrides_are_read_as_yaml(override, expected):
    assert with_overrides({}, [override]) == expected


def test_later_overrides_win_and_neighbours_stay():
    assert with_overrides({"inner": {"rate": 1, "other": 2}}, ["inner.rate=3", "inner.rate=4"]) == {
        "inner": {"rate": 4, "other": 2}
    }


@pytest.mark.parametrize("override", ["count", "=4", "count=[1"])
def test_a_malformed_override_is_a_sentence(override):
    with pytest.raises(InputError, match="--set"):
        with_overrides({}, [override])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"cuont": 1}, r"here: unknown setting 'cuont'; known here: inner, count, size, parts\."),
        ({"inner": {"rat": 1}}, r"here: unknown setting 'inner\.rat'; known here: rate\."),
        ({"inner": {"rate": 2}}, r"here: inner\.rate = 2: input should be less than or equal to 1\."),
        ({"count": "many"}, r"here: count = 'many': input should be a valid integer"),
        ({"size": [1]}, r"here: size = \[1\]: a value is missing, or input should be 'auto'\.$"),
        ({"size": "all"}, r"here: size = 'all': input should be a valid tuple, or input should be 'auto'\.$"),
        ({"inner": 3}, r"here: inner = 3: input should be a section with keys\.$"),
        ({"parts": {"a": {"rate": 2}}}, r"here: parts\.a\.rate = 2: input should be less than or equal to 1\.$"),
        ({"parts": {"a": {"rat": 2}}}, r"here: unknown setting 'parts\.a\.rat'; known here: rate\.$"),
        ({"parts": {"a": {}, "b": {}}}, r"here: parts: at most one\.$"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(values, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(Outer, values, "here")


def test_merging_leaves_both_alone():
    base, changes = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}
    assert merged(base, changes) == {"a": {"b": 3, "c": 2}}
    assert base == {"a": {"b": 1, "c": 2}}


def test_a_written_file_reads_back(tmp_path):
    settings = Outer(inner=Inner(rate=0.125), count=7)
    write_yaml(tmp_path / "settings.yaml", settings)
    assert validate(Outer, read_yaml(tmp_path / "settings.yaml"), "file") == settings


@pytest.mark.parametrize(("text", "sentence"), [("[1, 2]", "found a list"), ("a: [", "expected YAML")])
def test_a_wrong_file_is_a_sentence(tmp_path, text, sentence):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_yaml(path)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no such settings file"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b = 1, not 2"),
        ({"a": 1}, {"a": 1, "c": 2}, "c = None, not 2"),
    ],
)
def test_the_first_difference_is_named(stored, given, expected):
    assert first_difference(stored, given) == expected


def test_assignments_are_read_back() -> None:
    values = {"a": {"b": 0.1, "c": {"d": ["x", 1]}}, "e": None, "f": "on: off", "g": True}
    assert assignments({"a": {"b": 0.1}}) == ["a.b=0.1"]
    assert with_overrides({}, assignments(values)) == values
