"""Targets that change between rounds: which patch sees which, and what is on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from voxseed.data.cache import CachedCase
from voxseed.errors import InputError
from voxseed.training.rounds import Rounds


@dataclass(frozen=True)
class FakeCase:
    name: str = "a"
    supervision: CachedCase | None = None


@pytest.mark.parametrize(
    ("count", "epochs", "expected"),
    [
        (5, 10, (2, 4, 6, 8)),
        (3, 10, (4, 7)),
        (5, 3, (1, 2)),  # no more rounds than epochs
        (2, 1, ()),
    ],
)
def test_rounds_are_about_equally_long(count, epochs, expected):
    assert Rounds.planned(Path(), count, epochs, 7).first_epochs == expected


def _target(value: int) -> np.ndarray:
    return np.full((2, 3, 4), value, np.uint8)


def test_a_patch_is_cut_from_the_target_of_its_epoch_s_round(tmp_path):
    rounds = Rounds(tmp_path / "targets", (1, 3), patches_per_epoch=5)
    rounds.keep([("a", _target(1))], epochs_done=1)
    rounds.keep([("a", _target(2))], epochs_done=3)
    assert [rounds.begins(epoch) for epoch in range(5)] == [False, True, False, True, False]
    found = [rounds.relabelled(FakeCase(), index).supervision for index in (0, 4, 5, 14, 15, 99)]
    assert found[:2] == [None, None]
    assert [case.read("target").max() for case in found[2:]] == [1, 1, 2, 2]


def test_targets_are_written_again_where_a_killed_round_left_some(tmp_path):
    for value in (1, 2):
        Rounds(tmp_path, (1,), 1).keep([("a", _target(value))], epochs_done=1)
    assert Rounds(tmp_path, (1,), 1).relabelled(FakeCase(), 1).supervision.read("target").max() == 2


def test_a_missing_target_is_a_sentence(tmp_path):
    with pytest.raises(
        InputError, match=r"round-2: the target of case a is missing or damaged\. Train this stage again"
    ):
        Rounds(tmp_path, (1,), 1).relabelled(FakeCase(), 1)
