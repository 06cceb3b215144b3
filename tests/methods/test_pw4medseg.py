"""PW4MedSeg: its terms, with a network that is random and one that is not."""

import pytest
import torch
from torch import nn

from voxseed.losses.focal import FocalLoss
from voxseed.losses.probability import ProbabilityInformedLoss
from voxseed.methods.base import Batch, Progress
from voxseed.methods.pw4medseg import PW4MedSeg, PW4MedSegSettings
from voxseed.networks.factory import build_network
from voxseed.types import IGNORE

START = Progress(0, 0, 0.0)


def batch(shape=(2, 1, 4, 4, 4)) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=generator)
    target = torch.zeros(shape, dtype=torch.int64)
    target[:, :, 0] = IGNORE
    return Batch(
        image=image,
        target=target,
        valid=torch.ones_like(image, dtype=torch.bool),
        absent=torch.zeros(shape[0], 2, dtype=torch.bool),
        noise=torch.zeros(shape[0]),
        spacing_mm=(1.0, 1.0, 1.0),
        probabilities=torch.rand(shape, generator=generator),
    )


def method(network: nn.Module, **settings: object) -> PW4MedSeg:
    return PW4MedSeg(nn.ModuleDict({"primary": network}), PW4MedSegSettings(**settings))


@pytest.mark.parametrize(
    ("name", "loss"), [("probability-informed", ProbabilityInformedLoss()), ("focal", FocalLoss())]
)
def test_any_network_has_the_loss_on_voxels_that_are_no_padding(name, loss):
    network, given = nn.Conv3d(1, 2, 1), batch()
    terms = method(network, loss=name).losses(given, START)["primary"]
    assert set(terms) == {"probability"}
    expected = loss(network(given.image[:, :, 1:]), given.probabilities[:, :, 1:])
    torch.testing.assert_close(terms["probability"], expected)


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_a_random_network_adds_its_weighted_divergence(weight):
    torch.manual_seed(0)
    sizes = {"width": 2, "hidden_width": 24, "heads": 3, "layers": 4, "patch_shape": [32, 16, 16]}
    network, given = build_network("probabilistic-unetr", 1, 2, **sizes), batch((1, 1, 32, 16, 16))
    torch.manual_seed(1)
    terms = method(network, kl_weight=weight).losses(given, START)["primary"]
    torch.manual_seed(1)
    logits, divergence = network.forward_with_kl(given.image)
    torch.testing.assert_close(terms["kl"], weight * divergence)
    torch.testing.assert_close(
        terms["probability"], ProbabilityInformedLoss()(logits, given.probabilities, given.annotated)
    )


def test_a_batch_without_probabilities_is_refused():
    given = batch()
    without = Batch(**{**vars(given), "probabilities": None})
    with pytest.raises(ValueError, match="the batch has none"):
        method(nn.Conv3d(1, 2, 1)).losses(without, START)
