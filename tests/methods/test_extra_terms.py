"""Extra terms: every one is its loss with weight and ramp, of the logits that the method itself has used."""

import math
import pickle

import pytest
import torch

from voxseed.losses.crf import MultiViewCRFLoss
from voxseed.losses.entropy import EntropyLoss
from voxseed.losses.generalised_cross_entropy import GeneralisedCrossEntropyLoss
from voxseed.losses.mumford_shah import MumfordShahLoss
from voxseed.losses.noise_robust_dice import NoiseRobustDiceLoss
from voxseed.losses.size import SizeLoss
from voxseed.losses.total_variation import TotalVariationLoss
from voxseed.losses.variance import VarianceLoss
from voxseed.methods.base import METHODS, Progress
from voxseed.methods.extra_terms import ExtraTerms, ExtraTermsSettings
from voxseed.methods.object_volume import VolumeSettings

EXPECTED = {
    "entropy": lambda logits, batch: EntropyLoss()(logits, batch.valid & (batch.target == 255)),
    "total_variation": lambda logits, batch: TotalVariationLoss()(logits.softmax(dim=1), batch.valid),
    "mumford_shah": lambda logits, batch: MumfordShahLoss(1e-3)(logits.softmax(dim=1), batch.image, batch.valid),
    "variance": lambda logits, batch: VarianceLoss()(logits.softmax(dim=1), batch.image, batch.valid),
    "crf": lambda logits, batch: MultiViewCRFLoss()(logits.softmax(dim=1), batch.image, batch.valid, sigma_x=0.3),
    "noise_robust_dice": lambda logits, batch: NoiseRobustDiceLoss()(logits.softmax(dim=1), batch.target),
    "generalised_cross_entropy": lambda logits, batch: GeneralisedCrossEntropyLoss()(logits, batch.target),
    "size": lambda logits, batch: SizeLoss()(logits.softmax(dim=1), batch.objects),
}
HALF_WAY, END = Progress(0, 0, 0.25), Progress(0, 0, 1.0)


def _settings(**values: object) -> ExtraTermsSettings:
    return ExtraTermsSettings(**{"size_volume": VolumeSettings(source="label"), "ramp_fraction": 0.5, **values})


@pytest.fixture
def fine_crf(monkeypatch):
    """A CRF on the grid of the batch itself, which is too small for a coarser one."""
    from voxseed.methods import extra_terms
    from voxseed.methods.crf_term import CRFSettings, CRFTerm

    monkeypatch.setattr(extra_terms, "_CRF", CRFTerm(CRFSettings(grid_factors=(1, 1, 1))))


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.usefixtures("fine_crf")
def test_a_term_is_its_loss_with_weight_and_ramp(name, small_batch, networks):
    trained = networks("primary", "auxiliary")
    method = METHODS.get("partial")(trained, METHODS.get("partial").Settings())
    extra = ExtraTerms(trained, _settings(**{name: 0.7}))
    for progress, ramp in ((HALF_WAY, math.exp(-5 * 0.25)), (END, 1.0)):
        terms = method.losses(small_batch, progress)
        extra.add_to(terms, small_batch, progress)
        for member, network in trained.items():
            assert terms[member].keys() == {"partial", f"extra_{name}"}
            expected = 0.7 * ramp * EXPECTED[name](network(small_batch.image), small_batch)
            assert expected > 0
            torch.testing.assert_close(terms[member][f"extra_{name}"], expected)


def test_all_terms_have_a_test():
    weights = {name for name, field in ExtraTermsSettings.model_fields.items() if field.default == 0.0}
    assert weights == EXPECTED.keys()


def test_without_weights_nothing_is_noted_or_added(small_batch, networks):
    trained = networks("primary")
    extra = ExtraTerms(trained, ExtraTermsSettings())
    assert not trained["primary"]._forward_hooks
    terms = {"primary": {}}
    trained["primary"](small_batch.image)
    extra.add_to(terms, small_batch, END)
    assert terms == {"primary": {}}


def test_a_term_reaches_the_weights_and_is_of_one_step_alone(small_batch, networks):
    trained = networks("primary")
    extra = ExtraTerms(trained, _settings(variance=1.0))
    terms = {"primary": {}}
    trained["primary"](small_batch.image)
    with torch.no_grad():  # as a teacher of the same weights might
        trained["primary"](torch.zeros_like(small_batch.image))
    extra.add_to(terms, small_batch, END)
    terms["primary"]["extra_variance"].backward()
    assert trained["primary"].weight.grad.abs().sum() > 0
    later = {"primary": {}}
    extra.add_to(later, small_batch, END)
    assert later == {"primary": {}}


def test_processes_can_be_handed_the_networks(networks):
    trained = networks("primary")
    ExtraTerms(trained, _settings(entropy=1.0, size=1.0))
    assert pickle.loads(pickle.dumps(trained))["primary"]._forward_hooks


@pytest.mark.parametrize(
    ("settings", "needs_boxes", "oracle"),
    [
        (ExtraTermsSettings(entropy=1.0, size_volume=VolumeSettings(source="label")), False, ()),
        (ExtraTermsSettings(size=1.0), True, ()),
        (ExtraTermsSettings(size=1.0, size_volume=VolumeSettings(source="label")), True, ("true volume",)),
    ],
)
def test_what_the_size_term_takes(settings, needs_boxes, oracle):
    assert (settings.needs_boxes, settings.oracle) == (needs_boxes, oracle)
