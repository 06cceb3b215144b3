"""Cross pseudo supervision: terms by hand, from random weights and as a second stage."""

import math

import pytest
import torch

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Progress
from voxseed.methods.cps import CPSSettings, CrossPseudoSupervision


@pytest.mark.parametrize(
    ("settings", "fraction", "weights"),
    [
        ({"cross_weight": 0.5}, 1.0, {"partial": 1.0, "cross": 0.5}),
        ({"cross_weight": 0.5, "ramp_fraction": 0.4}, 0.2, {"partial": 1.0, "cross": 0.5 * math.exp(-1.25)}),
        ({"supervised_weight": 0, "ramp_fraction": 0}, 0.0, {"cross": 1.0}),  # second stage, the other alone
        ({"supervised_weight": 2, "cross_weight": 0}, 1.0, {"partial": 2.0}),
    ],
)
def test_each_learns_annotations_and_the_others_argmax(settings, fraction, weights, small_batch, networks):
    method = CrossPseudoSupervision(networks("primary", "auxiliary"), CPSSettings(**settings))
    terms = method.losses(small_batch, Progress(0, 0, fraction))
    logits = {name: network(small_batch.image) for name, network in method.networks.items()}
    for name, other in (("primary", "auxiliary"), ("auxiliary", "primary")):
        label = torch.where(small_batch.valid, logits[other].argmax(dim=1, keepdim=True), 255)
        expected = {
            "partial": PartialSupervisionLoss()(logits[name], small_batch.target),
            "cross": PartialSupervisionLoss()(logits[name], label),
        }
        assert terms[name].keys() == weights.keys()
        for key, weight in weights.items():
            torch.testing.assert_close(terms[name][key], weight * expected[key])


def test_no_gradient_reaches_who_gave_the_label(small_batch, networks):
    method = CrossPseudoSupervision(networks("primary", "auxiliary"), CPSSettings())
    sum(method.losses(small_batch, Progress(0, 0, 1.0))["primary"].values()).backward()
    assert all(parameter.grad is not None for parameter in method.networks["primary"].parameters())
    assert all(parameter.grad is None for parameter in method.networks["auxiliary"].parameters())
