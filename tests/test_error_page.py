"""docs/errors.md is made by a script from the tests of bad input; here: that it has all of them, in their words."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import error_page  # noqa: E402


def bad_input():
    """The tables of tests/cli/test_bad_input.py."""
    spec = importlib.util.spec_from_file_location("bad_input_tables", error_page.TESTS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = bad_input()
PAGE = error_page.TARGET.read_text(encoding="utf-8")


def section(heading: str) -> dict[str, str]:
    """First column → message, of one part of the page."""
    text = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", text, re.MULTILINE)[1:]
    return {case.replace("\\|", "|"): said.replace("\\|", "|").replace("&lt;", "<") for case, said in rows}


def test_there_are_more_than_forty_and_each_is_a_sentence():
    rows = [said for heading, _ in error_page.PARTS.values() for said in section(heading).values()]
    assert PAGE.startswith(error_page.HEAD)
    assert len(rows) > 100
    assert len(set(rows)) > 80
    for said in rows:
        assert said.rstrip().endswith((".", "}")), said
        assert "pytest" not in said


def test_every_wrong_word_has_its_sentence():
    found = section("Arguments and settings")
    assert set(found) == {line for line, _ in TABLES.BAD_WORDS}, "run python scripts/error_page.py"
    for line, sentence in TABLES.BAD_WORDS:
        assert re.search(sentence, found[line]), line


def test_every_kind_of_bad_data_has_its_sentence():
    found = section("Datasets and annotations")
    for name, _, sentence, commands in TABLES.BAD_DATA:
        said = [found[f"{name}: {command}"] for command in commands.split() if f"{name}: {command}" in found]
        assert said, f"{name}: run python scripts/error_page.py"
        assert all(re.search(sentence, each) for each in said), name
    known = {f"{name}: {command}" for name, _, _, commands in TABLES.BAD_DATA for command in commands.split()}
    assert set(found) <= known


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("voxseed: /tmp/pytest-of-me/pytest-3/test_a0/data/x: wrong.\n", "data/x: wrong."),
        ("voxseed: x: run '/tmp/pytest-of-me/pytest-3/test_a0/my data'.", "x: run 'my data'."),
        ("voxseed: one.\ntwo.", "one. two."),
    ],
)
def test_folders_of_tests_are_left_out(said, expected):
    assert error_page.sentence(said) == expected


def test_a_page_has_the_first_message_of_each_test_but_not_the_list_of_check():
    records = [
        {"test": "test_wrong_words_are_a_sentence[list a|b]", "words": [], "said": "voxseed: first."},
        {"test": "test_wrong_words_are_a_sentence[list a|b]", "words": [], "said": "voxseed: second."},
        {
            "test": "test_bad_data_is_a_sentence[x: check]",
            "words": [],
            "said": "there are errors, listed above. Correct.",
        },
        {"test": "test_other[y]", "words": [], "said": "not asked for."},
    ]
    page = error_page.page(records)
    assert "| list a\\|b | first. |" in page
    assert not any(word in page for word in ("second", "listed above", "asked for"))
