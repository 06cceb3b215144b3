import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxseed.inference.proposal import proposed_order

LINE = np.array([[0.0], [1.0], [2.0], [10.0]])


@pytest.mark.parametrize(
    ("lost", "annotated", "expected"),
    [
        # Nobody is annotated, so all are 10 away. Gains of 0, 1, 2, 10 with equal losses: 10 + 9 + 8, 9 + 10 + 9 + 1,
        # 8 + 9 + 10 + 2, 1 + 2 + 10. After 1, a tie with 2: 0 gains 1, 2 gains 1 + 1, 10 gains 9. Then both gain 1.
        ([1, 1, 1, 1], [], [1, 3, 0, 2]),
        # Alone far away and predicted badly, against three like each other: 0.5 × 9 is more than 0.1 × 1 + 0.5 × 1.
        ([0.1, 0.1, 0.1, 0.5], [1], [3, 0, 2]),
        # Where the lone case is well predicted, the others come first: 0 gains 0.9.
        ([0.9, 0.1, 0.1, 0.05], [1], [0, 3, 2]),
        ([1, 1, 1, 1], [0, 1, 2, 3], []),
    ],
)
def test_four_scans_on_a_line(lost, annotated, expected):
    is_annotated = np.isin(np.arange(4), annotated)
    assert proposed_order(np.array(lost, float), LINE, is_annotated, 4) == expected


def test_at_most_as_many_as_asked_for():
    assert proposed_order(np.ones(4), LINE, np.zeros(4, bool), 2) == [1, 3]
    assert proposed_order(np.ones(0), np.empty((0, 1)), np.zeros(0, bool), 2) == []


def test_scans_that_all_look_alike_come_in_the_order_of_what_they_lose():
    lost = np.array([0.2, 0.9, 0.5, 0.7])
    assert proposed_order(lost, np.zeros((4, 3)), np.array([False, False, False, True]), 4) == [1, 2, 0]


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 3))
def test_as_one_case_after_the_other(seed, count, annotated_count):
    rng = np.random.default_rng(seed)
    descriptors, lost = rng.normal(size=(count, 2)), rng.uniform(size=count)
    annotated = list(range(min(annotated_count, count)))
    is_annotated = np.isin(np.arange(count), annotated)
    far = max(np.linalg.norm(a - b) for a in descriptors for b in descriptors)
    chosen: list[int] = []
    while len(chosen) < count - len(annotated):
        known = annotated + chosen
        waiting = [j for j in range(count) if j not in known]

        def gain(i: int, known=tuple(known), waiting=tuple(waiting)) -> float:
            total = 0.0
            for j in waiting:
                nearest = min([far, *(np.linalg.norm(descriptors[j] - descriptors[a]) for a in known)])
                total += lost[j] * max(0.0, nearest - np.linalg.norm(descriptors[j] - descriptors[i]))
            return total

        chosen.append(max(waiting, key=gain))
    assert proposed_order(lost, descriptors, is_annotated, count) == chosen
