from dataclasses import replace

import pytest
import torch

from voxseed.methods.pseudo_labels import mean_probabilities, noisy_label, pseudo_label


@pytest.mark.parametrize(
    ("trusted", "keep_annotated", "label", "certain"),
    [
        (True, True, [1, 0, 2, 255], [True, True, False, False]),  # what somebody annotated stays
        (True, False, [2, 2, 2, 255], [False] * 4),  # the networks replace it
        (False, True, [1, 0, 2, 255], [False] * 4),  # what a tool labelled is the label, and is doubted
        (False, False, [1, 0, 2, 255], [False] * 4),
    ],
)
def test_where_the_label_comes_from(small_batch, trusted, keep_annotated, label, certain):
    batch = replace(
        small_batch,
        target=torch.tensor([1, 0, 255, 0]).view(1, 1, 1, 1, 4),  # the invalid one is known background
        valid=torch.tensor([True, True, True, False]).view(1, 1, 1, 1, 4),
        trusted=torch.tensor([trusted]),
        absent=torch.zeros(1, 3, dtype=torch.bool),
    )
    probabilities = torch.tensor([0.1, 0.2, 0.7]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 4)
    found, kept = noisy_label(batch, probabilities, keep_annotated)
    assert found.flatten().tolist() == label
    assert kept.flatten().tolist() == certain


def test_the_mean_of_teachers_is_one_of_probabilities(networks, small_batch):
    teachers = networks("primary", "auxiliary")
    expected = sum(teacher(small_batch.image).softmax(dim=1) for teacher in teachers.values()) / 2
    mean = mean_probabilities(teachers, small_batch.image)
    torch.testing.assert_close(mean, expected)
    assert not mean.requires_grad


@pytest.mark.parametrize(
    ("absent", "expected"),
    [((), [2, 1, 255]), ((2,), [1, 1, 255]), ((1, 2), [0, 0, 255])],
)
def test_pseudo_labels_leave_out_the_invalid_and_absent_classes(small_batch, absent, expected):
    scores = torch.tensor([[0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]).T.reshape(1, 3, 1, 1, 3)
    batch = replace(
        small_batch,
        valid=torch.tensor([True, True, False]).view(1, 1, 1, 1, 3),
        absent=torch.tensor([[index in absent for index in range(3)]]),
    )
    assert pseudo_label(scores, batch).flatten().tolist() == expected
    assert pseudo_label(scores.log(), batch).flatten().tolist() == expected
