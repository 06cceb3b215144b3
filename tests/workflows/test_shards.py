"""Work that is divided: disjoint parts, and claims that end with their process."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxseed.errors import InputError
from voxseed.workflows.shards import Shard, claimed


@given(st.lists(st.integers(), unique=True), st.integers(1, 9))
def test_parts_are_disjoint_and_together_are_all(items: list[int], count: int) -> None:
    parts = [Shard(number, count).of(items) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_third_of_four_parts() -> None:
    assert Shard.parse("3/4").of("abcdefghij") == ["c", "g"]
    assert str(Shard.parse(" 3/4 ")) == "3/4"


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/2", "1.0/4"])
def test_what_is_no_part_is_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"expected I/N with I from 1 to N, such as 3/8"):
        Shard.parse(text)


def _claim(folder: Path, entered: "multiprocessing.Queue[bool]", leave: object) -> None:
    with claimed(folder, "anna") as is_mine:
        entered.put(is_mine)
        leave.wait(20)  # type: ignore[attr-defined]


def test_a_claim_holds_against_another_process_and_ends_with_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Queue(), context.Event()
    other = context.Process(target=_claim, args=(tmp_path, entered, leave))
    other.start()
    assert entered.get(timeout=20) is True
    with claimed(tmp_path, "anna") as is_mine, claimed(tmp_path, "bert") as another:
        assert (is_mine, another) == (False, True)
    other.kill()
    other.join()
    with claimed(tmp_path, "anna") as is_mine:
        assert is_mine


def test_a_claim_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), claimed(tmp_path, "anna"):
        raise ValueError("broken")
    with claimed(tmp_path, "anna") as is_mine:
        assert is_mine
