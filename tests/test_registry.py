"""Things that register by name."""

import pytest

from voxseed.errors import UnknownNameError
from voxseed.registry import Registry


def _registry() -> Registry[int]:
    registry: Registry[int] = Registry("fruit", "voxseed.metrics")
    registry.register("apple")(1)
    registry.register("pear")(2)
    return registry


def test_names_are_sorted_and_found():
    assert _registry().names() == ["apple", "pear"]
    assert _registry().get("pear") == 2


def test_an_unknown_name_lists_the_known_and_the_closest():
    with pytest.raises(UnknownNameError, match=r"Unknown fruit 'aple'\. Did you mean 'apple'\? Known: apple, pear\."):
        _registry().get("aple")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'pear' is registered twice"):
        _registry().register("pear")(3)
