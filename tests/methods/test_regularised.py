"""Methods of one regulariser: both terms are the losses, with their weight and ramp."""

import math

import pytest
import torch
from torch import nn

from voxseed.losses.crf import MultiViewCRFLoss
from voxseed.losses.entropy import EntropyLoss
from voxseed.losses.mumford_shah import MumfordShahLoss
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.losses.size import SizeLoss
from voxseed.losses.total_variation import TotalVariationLoss
from voxseed.methods.base import METHODS, TRUE_VOLUME, Progress
from voxseed.methods.object_volume import VolumeSettings
from voxseed.supervision.kinds import ObjectInPatch

EXPECTED = {
    "entropy-min": ("entropy", lambda logits, batch: EntropyLoss()(logits, batch.valid & (batch.target == 255))),
    "total-variation": ("variation", lambda logits, batch: TotalVariationLoss()(logits.softmax(dim=1), batch.valid)),
    "mumford-shah": (
        "mumford_shah",
        lambda logits, batch: MumfordShahLoss(1e-3)(logits.softmax(dim=1), batch.image, batch.valid),
    ),
    "gated-crf": (
        "crf",
        lambda logits, batch: MultiViewCRFLoss(views=("axial",))(
            logits.softmax(dim=1), batch.image, batch.valid, sigma_x=0.3
        ),
    ),
    "size-loss": ("size", lambda logits, batch: SizeLoss()(logits.softmax(dim=1), batch.objects)),
}


def _method(name: str, networks: nn.ModuleDict, **settings: object):
    if name == "size-loss":
        settings["volume"] = VolumeSettings(source="label")
    kind = METHODS.get(name)
    return kind(networks, kind.Settings(**settings))


@pytest.mark.parametrize("name", EXPECTED)
def test_terms_are_the_losses_with_weight_and_ramp(name, small_batch, networks):
    method = _method(name, networks("primary"), weight=0.7, ramp_fraction=0.5)
    logits = method.networks["primary"](small_batch.image)
    term, regulariser = EXPECTED[name]
    supervision = (
        {"cross_entropy": PartialCrossEntropyLoss()(logits, small_batch.target)}
        if name == "gated-crf"
        else {"partial": PartialSupervisionLoss()(logits, small_batch.target)}
    )
    for fraction, ramp in ((0.25, math.exp(-5 * 0.25)), (0.6, 1.0)):
        terms = method.losses(small_batch, Progress(0, 0, fraction))["primary"]
        expected = supervision | {term: 0.7 * ramp * regulariser(logits, small_batch)}
        assert terms.keys() == expected.keys()
        for key, value in expected.items():
            assert value > 0
            torch.testing.assert_close(terms[key], value)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_weight_of_zero_leaves_the_regulariser_out(name, small_batch, networks):
    terms = _method(name, networks("primary"), weight=0).losses(small_batch, Progress(0, 0, 1.0))
    assert len(terms["primary"]) == 1


@pytest.mark.parametrize("name", EXPECTED)
def test_every_parameter_learns(name, small_batch, networks):
    method = _method(name, networks("primary"))
    sum(method.losses(small_batch, Progress(0, 0, 1.0))["primary"].values()).backward()
    assert all((parameter.grad != 0).any() for parameter in method.networks.parameters())


def test_a_volume_is_a_share_of_the_box_unless_the_truth_is_asked_for(small_batch):
    by_box = [VolumeSettings(box_share=0.5).known_objects(small_batch, margin)[1] for margin in (0, 1, 2)]
    assert [item.true_voxels for item, _ in by_box] == [13.5, 0.5 * 1.5**3, 0.5 * 1.5**3]  # at least half of an axis
    assert by_box[0][1] == ObjectInPatch(2, (1, 2, 0), (4, 5, 3), False, (3, 3, 3), 13.5)  # of the whole box
    assert VolumeSettings(source="label").known_objects(small_batch, 1) == small_batch.objects


@pytest.mark.parametrize("name", ["size-loss", "dtp"])
@pytest.mark.parametrize(("source", "expected"), [("box", ()), ("label", (TRUE_VOLUME,))])
def test_an_oracle_is_named_where_it_is_asked_for(name, source, expected):
    method = METHODS.get(name)
    assert method.oracle(method.Settings(volume=VolumeSettings(source=source))) == expected


def test_no_other_method_uses_an_oracle():
    names = [name for name in METHODS.names() if METHODS.get(name).oracle(METHODS.get(name).Settings())]
    assert names == []
