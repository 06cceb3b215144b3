"""Which pseudo labels are taught: tables of a few voxels."""

import pytest
import torch

from voxseed.methods.base import Batch
from voxseed.methods.lessons import (
    Opinion,
    agreement,
    lesson,
    most_confident,
    opinion_of,
    where_agreed,
    where_confident,
)
from voxseed.types import IGNORE


def row(values: list, dtype: torch.dtype = torch.long) -> torch.Tensor:
    """(B, 1, 1, 1, K) of one list per sample, or of one list."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.view(-1, 1, 1, 1, tensor.shape[-1])


def opinion(labels: list, confidences: list) -> Opinion:
    return Opinion(row(labels), row(confidences, torch.float32))


def batch(target: torch.Tensor, valid: torch.Tensor | None = None, absent: list[list[bool]] | None = None) -> Batch:
    return Batch(
        image=torch.zeros(target.shape),
        target=target,
        valid=torch.ones(target.shape, dtype=torch.bool) if valid is None else valid,
        absent=torch.tensor(absent or [[False] * 3] * len(target)),
        noise=torch.full((len(target),), torch.nan),
        spacing_mm=(1.0, 1.0, 1.0),
    )


def test_an_opinion_is_the_most_probable_class_and_carries_no_gradient():
    probabilities = torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]]).T.reshape(1, 3, 1, 1, 2)
    found = opinion_of(probabilities.log().requires_grad_())
    assert found.label.flatten().tolist() == [1, 0]
    torch.testing.assert_close(found.confidence.flatten(), torch.tensor([0.7, 0.5]))
    assert not found.confidence.requires_grad


def test_the_threshold_must_be_passed_and_may_differ_between_samples():
    said = opinion([[1, 0, 2], [1, 0, 2]], [[0.91, 0.9, 0.75], [0.91, 0.9, 0.75]])
    assert where_confident(said, 0.9).flatten().tolist() == [1, 255, 255, 1, 255, 255]
    found = where_confident(said, torch.tensor([0.9, 0.7]))
    assert found.flatten().tolist() == [1, 255, 255, 1, 0, 2]


@pytest.mark.parametrize(
    ("first", "second", "learner", "expected"),
    [
        ((1, 0.6), (1, 0.7), (1, 0.5), 1),  # all agree
        ((1, 0.6), (2, 0.7), (1, 0.9), IGNORE),  # the two do not
        ((1, 0.6), (1, 0.7), (0, 0.65), 1),  # the learner is surer than one of them
        ((1, 0.6), (1, 0.7), (0, 0.7), 1),  # as sure as the surer one
        ((1, 0.6), (1, 0.7), (0, 0.71), IGNORE),  # surer than both
        ((1, 0.6), (1, 0.7), (1, 0.99), 1),  # surer, and of the same mind
        ((0, 0.9), (0, 0.8), (1, 0.5), 0),  # background is taught too
    ],
)
def test_consistent_label_fusion(first, second, learner, expected):
    opinions = [opinion([label], [confidence]) for label, confidence in (first, second, learner)]
    assert where_agreed(*opinions).item() == expected


def test_the_most_confident_opinion_is_chosen_voxel_by_voxel():
    found = most_confident([opinion([1, 1, 1], [0.6, 0.9, 0.7]), opinion([2, 2, 0], [0.8, 0.5, 0.7])])
    assert found.label.flatten().tolist() == [2, 1, 1]
    torch.testing.assert_close(found.confidence.flatten(), torch.tensor([0.8, 0.9, 0.7]))


@pytest.mark.parametrize(
    ("label", "target", "accuracy", "dice"),
    [
        ([0, 0, 1, 1, 2], [0, 0, 1, 255, 255], 1.0, 1.0),
        ([0, 1, 1, 1, 2], [0, 0, 1, 1, 255], 3 / 4, 4 / 5),
        ([0, 0, 1, 0, 2], [0, 0, 1, 2, 2], 4 / 5, (1 + 2 / 3) / 2),  # mean over the classes that occur
        ([0, 0, 0, 0, 0], [0, 0, 0, 1, 255], 3 / 4, 0.0),  # accuracy is dominated by background
        ([0, 0, 0, 1, 1], [0, 0, 0, 255, 255], 1.0, 0.0),  # no foreground to measure
        ([1, 1, 1, 1, 1], [255, 255, 255, 255, 255], 0.0, 0.0),
    ],
)
def test_agreement_with_the_annotation(label, target, accuracy, dice):
    for measure, expected in (("accuracy", accuracy), ("dice", dice)):
        found = agreement(row([label, target]), row([target, target]), measure)
        assert found[0].item() == pytest.approx(expected)


def test_annotations_are_taught_with_weight_one_and_pseudo_labels_with_theirs():
    target = row([[0, 1, 255, 255, 255, 255]])
    valid = torch.tensor([True, True, True, True, True, False]).view(target.shape)
    found = lesson(row([[2, 2, 2, 0, 255, 1]]), 0.1, batch(target, valid))
    # Annotated, annotated, taught, taught as background, not taught, outside the valid region.
    assert found.label.flatten().tolist() == [0, 1, 2, 0, 255, 255]
    torch.testing.assert_close(found.weights.flatten()[:4], torch.tensor([1.0, 1.0, 0.1, 0.1]))


def test_annotated_voxels_outside_the_valid_region_count():
    target = row([[0, 1]])
    found = lesson(row([[1, 1]]), 0.1, batch(target, torch.zeros(target.shape, dtype=torch.bool)))
    assert found.label.flatten().tolist() == [0, 1]


def test_a_sample_without_annotation_is_taught_nothing():
    found = lesson(row([[1, 1], [1, 1]]), 0.1, batch(row([[255, 255], [0, 255]])))
    assert found.label.flatten().tolist() == [255, 255, 0, 1]


def test_a_class_that_is_absent_is_not_taught():
    absent = [[False, True, False], [False, False, False]]
    found = lesson(row([[1, 2, 255], [1, 2, 255]]), 0.1, batch(row([[255, 255, 0]] * 2), absent=absent))
    assert found.label.flatten().tolist() == [255, 2, 0, 1, 2, 0]
