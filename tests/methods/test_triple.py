"""Three networks: clean, corrected and ignored labels."""

import pytest
import torch

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Progress
from voxseed.methods.pseudo_labels import noisy_label
from voxseed.methods.small_loss import small_loss_voxels
from voxseed.methods.triple import Triple, TripleSettings, corrected_label

MEMBERS = ("primary", "second", "third")


@pytest.mark.parametrize(
    ("label", "clean", "foreground", "expected"),
    [
        (0, True, 0.99, 0),  # clean: as it is
        (0, False, 0.95, 1),  # corrected
        (1, False, 0.95, 1),  # confirmed
        (1, False, 0.05, 0),
        (0, False, 0.6, 255),  # nobody is sure
        (255, False, 0.99, 255),  # padding
    ],
)
def test_a_label_is_kept_corrected_or_ignored(label, clean, foreground, expected):
    p = torch.tensor([1 - foreground, foreground]).view(1, 2, 1, 1, 1)
    one = torch.ones(1, 1, 1, 1, 1, dtype=torch.long)
    assert corrected_label(label * one, one == clean, p, confidence=0.9).item() == expected


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_two_peers_judge_for_the_third(fraction, small_batch, networks, moved):
    method = Triple(networks(*MEMBERS), TripleSettings(noise_share=0.6, confidence=0.5))
    moved(method.networks)
    terms = method.losses(small_batch, Progress(0, 0, fraction))
    began = networks(*MEMBERS)
    mean = sum(network(small_batch.image).softmax(dim=1) for network in began.values()) / 3
    label, certain = noisy_label(small_batch, mean, keep_annotated=True)
    doubtful = small_batch.valid & ~certain
    logits = {name: network(small_batch.image) for name, network in method.networks.items()}
    share = 1.0 if fraction == 0 else 0.4
    for name in MEMBERS:
        first, second = (peer for peer in MEMBERS if peer != name)
        easy = [small_loss_voxels(logits[peer], label, doubtful, share) for peer in (first, second)]
        peers = (logits[first].softmax(dim=1) + logits[second].softmax(dim=1)) / 2
        target = torch.where(certain | (easy[0] & easy[1]), label, 255)
        sure = (target == 255) & small_batch.valid & (peers.amax(dim=1, keepdim=True) >= 0.5)
        target = torch.where(sure, peers.argmax(dim=1, keepdim=True), target)
        torch.testing.assert_close(terms[name]["triple"], PartialSupervisionLoss()(logits[name], target))


def test_no_gradient_reaches_peers_or_teachers(small_batch, networks):
    method = Triple(networks(*MEMBERS), TripleSettings())
    method.losses(small_batch, Progress(0, 0, 1.0))["second"]["triple"].backward()
    assert all(parameter.grad is not None for parameter in method.networks["second"].parameters())
    for others in (method.networks["primary"], method.networks["third"], method.teachers):
        assert all(parameter.grad is None for parameter in others.parameters())
