import numpy as np
import pytest

from voxseed.inference.class_ranges import ClassRange
from voxseed.inference.doubts import find_doubts

SHAPE = (8, 8, 8)
SEEN = ClassRange(lowest_ml=0.5, highest_ml=2.0, most_parts=1, touches_border=False, is_absent_somewhere=False)


def box(*slices: slice) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[slices] = 1
    return labels


MIDDLE = box(slice(2, 4), slice(2, 4), slice(2, 4))  # 8 voxels of 100 mm³: 0.8 ml
FAR_APART = MIDDLE | box(slice(6, 7), slice(6, 7), slice(6, 7))
WITH_SPECK = box(slice(1, 4), slice(1, 4), slice(1, 4)) | box(slice(6, 7), slice(6, 7), slice(6, 7))  # 1 of 28
EMPTY = np.zeros(SHAPE, np.uint8)


@pytest.mark.parametrize(
    ("labels", "changes", "confidence", "expected"),
    [
        (MIDDLE, {}, 0.9, []),
        (EMPTY, {}, float("nan"), ["empty: no voxel, and no training case is known to be without it"]),
        (EMPTY, {"is_absent_somewhere": True}, float("nan"), []),
        (box(slice(0, 2), slice(2, 4), slice(2, 4)), {}, 0.9, ["border: reaches the border of the image, as in no"]),
        (box(slice(0, 2), slice(2, 4), slice(2, 4)), {"touches_border": True}, 0.9, []),
        (FAR_APART, {}, 0.9, ["parts: 2 parts, training cases had at most 1"]),
        (FAR_APART, {"most_parts": 2}, 0.9, []),
        (WITH_SPECK, {"highest_ml": 3.0}, 0.9, []),
        (MIDDLE, {"lowest_ml": 0.81}, 0.9, ["volume: 0.8 ml, training cases had 0.81 to 2 ml"]),
        (MIDDLE, {"highest_ml": 0.79}, 0.9, ["volume: 0.8 ml, training cases had 0.5 to 0.79 ml"]),
        (MIDDLE, {"lowest_ml": 0.8, "highest_ml": 0.8}, 0.9, []),
        (MIDDLE, {}, 0.84, ["confidence: mean probability 0.84, below 0.85"]),
        (MIDDLE, {}, 0.85, []),
        (FAR_APART, {"highest_ml": 0.5}, 0.5, ["parts: 2", "volume: 0.9 ml", "confidence: "]),
    ],
)
def test_each_rule_by_hand(labels, changes, confidence, expected):
    ranges = {"tumour": SEEN.model_copy(update=changes)}
    found = [f"{d.rule}: {d.reason}" for d in find_doubts(labels, ("tumour",), 100.0, (confidence,), ranges)]
    assert len(found) == len(expected), found
    assert all(sentence.startswith(start) for sentence, start in zip(found, expected, strict=True))


def test_a_model_that_says_nothing_of_its_training_cases_leaves_two_rules():
    (empty,) = find_doubts(EMPTY, ("tumour",), 100.0, (float("nan"),), {})
    assert (empty.rule, empty.reason) == ("empty", "no voxel, and nothing is known of it in the training cases")
    everywhere = np.ones(SHAPE, np.uint8)
    assert [d.rule for d in find_doubts(everywhere, ("tumour",), 100.0, (0.6,), {})] == ["confidence"]
    assert find_doubts(everywhere, ("tumour",), 100.0, (0.9,), {}) == []


def test_each_class_is_looked_at_by_itself():
    labels = MIDDLE.copy()
    labels[0, 0, 0] = 2
    ranges = {"tumour": SEEN, "cyst": SEEN.model_copy(update={"lowest_ml": 0.1})}
    found = find_doubts(labels, ("tumour", "cyst"), 100.0, (0.6, 0.9), ranges)
    assert [(doubt.class_name, doubt.rule) for doubt in found] == [("tumour", "confidence"), ("cyst", "border")]
