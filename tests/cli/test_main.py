"""What `main` does to a line before Typer reads it."""

import pytest

from voxseed.cli.main import _each_start_with_its_option


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--from a=R:a b=S:b c=T:c", "--from a=R:a --from b=S:b --from c=T:c"),
        ("--from=a=R:a b=S:b", "--from=a=R:a --from b=S:b"),
        ("--from a=R:a b=S", "--from a=R:a --from b=S"),  # forgotten, for a sentence that says so
        ("--from a=R:a --from b=S:b", "--from a=R:a --from b=S:b"),
        ("--from a=R:a data --set x.y=1", "--from a=R:a data --set x.y=1"),
        ("--from a=R:a --set x.y=1", "--from a=R:a --set x.y=1"),
        ("train data --set x.y=1", "train data --set x.y=1"),
    ],
)
def test_several_networks_may_follow_one_option(line, expected):
    assert _each_start_with_its_option(line.split()) == expected.split()
