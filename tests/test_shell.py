"""Commands in messages: what is copied into a shell means what was meant."""

import re
import shlex
from pathlib import Path

import pytest

import voxseed
from voxseed.shell import voxseed_command

SOURCES = Path(voxseed.__file__).parent
FILLED_IN = re.compile(r"\bvoxseed (?:dataset )?[a-z-]+ [^\"\n]*\{")
"""A command of which a part is filled in by hand, and so not quoted."""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("train", Path("data"), "--run", "runs/first"), "voxseed train data --run runs/first"),
        (("dataset", "check", Path("/my scans/a")), "voxseed dataset check '/my scans/a'"),
        (("annotate", "it's"), "voxseed annotate 'it'\"'\"'s'"),
        (("list", ""), "voxseed list ''"),
    ],
)
def test_a_shell_reads_the_words_that_were_given(words, expected):
    assert voxseed_command(*words) == expected
    assert shlex.split(expected) == ["voxseed", *map(str, words)]


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('f"Check it: voxseed dataset check {root}."', True),
        ('f"voxseed train {out} --annotations x"', True),
        ('f"voxseed evaluate --out {path}"', True),
        ("f\"Check it: {voxseed_command('dataset', 'check', root)}\"", False),
        ('"Convert it with voxseed dataset import."', False),
    ],
)
def test_what_the_next_test_finds(line, is_found):
    assert bool(FILLED_IN.search(line)) is is_found


def test_no_message_fills_a_path_into_a_command_without_quoting_it():
    found = [
        f"{path.relative_to(SOURCES)}: {match[0]}"
        for path in sorted(SOURCES.rglob("*.py"))
        for match in FILLED_IN.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
