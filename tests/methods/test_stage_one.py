"""Stage one: its terms against brute force, weights, ramp, grid."""

import math

import pytest
import torch
from torch import nn

from voxseed.losses.coarse_grid import to_coarse_grid
from voxseed.losses.crf import MultiViewCRFLoss
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.losses.variance import VarianceLoss
from voxseed.methods.base import Batch, Progress
from voxseed.methods.crf_term import CRFSettings, coarse_grid_factors
from voxseed.methods.stage_one import StageOne, StageOneSettings


def _batch(noise: float = 0.2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, 4, 6, 4, generator=generator)
    target = torch.randint(0, 2, image.shape, generator=generator)
    target[torch.rand(image.shape, generator=generator) < 0.5] = 255
    return Batch(
        image=image,
        target=target,
        valid=torch.ones_like(image, dtype=torch.bool),
        absent=torch.zeros(2, 2, dtype=torch.bool),
        noise=torch.tensor([noise, noise]),
        spacing_mm=(1.0, 1.0, 1.0),
    )


def _method(**settings: object) -> StageOne:
    torch.manual_seed(0)
    return StageOne(nn.ModuleDict({"primary": nn.Conv3d(1, 2, 1)}), StageOneSettings(**settings))


def test_terms_are_the_losses_with_their_weights():
    crf = CRFSettings(sigma_x=0.3, radius_voxels=(2, 1, 1), grid_factors=(2, 2, 1))
    method, batch = _method(crf_weight=2.0, variance_weight=0.5, ramp_fraction=0, crf=crf), _batch()
    terms = method.losses(batch, Progress(0, 0, 0.0))["primary"]
    logits = method.networks["primary"](batch.image)
    coarse, image, valid = to_coarse_grid(logits, batch.image, batch.valid, (2, 2, 1))
    expected_crf = MultiViewCRFLoss(radius=(2, 1, 1))(coarse.softmax(dim=1), image, valid, 0.3)
    torch.testing.assert_close(terms["partial"], PartialSupervisionLoss()(logits, batch.target))
    torch.testing.assert_close(terms["crf"], 2.0 * expected_crf)
    torch.testing.assert_close(terms["variance"], 0.5 * VarianceLoss()(logits.softmax(dim=1), batch.image, batch.valid))


@pytest.mark.parametrize(("fraction", "factor"), [(0.0, math.exp(-5)), (0.05, math.exp(-1.25)), (0.1, 1.0), (0.7, 1.0)])
def test_both_regularisers_are_ramped_up(fraction, factor):
    method, batch = _method(ramp_fraction=0.1), _batch()
    ramped = method.losses(batch, Progress(0, 0, fraction))["primary"]
    full = method.losses(batch, Progress(0, 0, 1.0))["primary"]
    for name in ("crf", "variance"):
        torch.testing.assert_close(ramped[name], factor * full[name])
    torch.testing.assert_close(ramped["partial"], full["partial"])


def test_a_weight_of_zero_leaves_its_term_out():
    assert set(_method(crf_weight=0, variance_weight=0).losses(_batch(), Progress(0, 0, 1.0))["primary"]) == {"partial"}


def test_sigma_from_the_noise_is_a_multiple_of_it():
    from_noise = _method(crf=CRFSettings(sigma_x="noise", noise_factor=2.0))
    fixed = _method(crf=CRFSettings(sigma_x=0.4))
    terms = [method.losses(_batch(0.2), Progress(0, 0, 1.0))["primary"]["crf"] for method in (from_noise, fixed)]
    torch.testing.assert_close(*terms)


def test_a_case_without_noise_estimate_has_no_say_in_the_crf():
    method = _method(crf=CRFSettings(sigma_x="noise"))
    term = method.losses(_batch(float("nan")), Progress(0, 0, 1.0))["primary"]["crf"]
    assert term.item() == 0.0


@pytest.mark.parametrize(
    ("spacing_mm", "shape", "expected"),
    [
        ((1.0, 1.0, 1.0), (8, 8, 8), (2, 2, 2)),
        ((0.5, 0.5, 1.5), (8, 8, 8), (2, 2, 1)),  # thick slices keep their number
        ((1.0, 1.0, 1.0), (8, 8, 7), (2, 2, 1)),  # an odd number cannot be halved
    ],
)
def test_the_coarse_grid_is_half_of_what_is_fine_and_even(spacing_mm, shape, expected):
    assert coarse_grid_factors(spacing_mm, shape) == expected
