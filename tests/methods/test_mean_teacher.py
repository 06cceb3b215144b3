"""Mean teachers: terms by hand, noise, the moving average, and which voxels a certain teacher is followed on."""

import math

import pytest
import torch
from torch import Tensor, nn

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Progress
from voxseed.methods.mean_teacher import MeanTeacher, MeanTeacherSettings
from voxseed.methods.uncertainty_aware_mean_teacher import (
    UncertaintyAwareMeanTeacher,
    UncertaintyAwareMeanTeacherSettings,
    entropy,
)
from voxseed.types import IGNORE


def batch() -> Batch:
    image = torch.randn(1, 1, 4, 5, 6, generator=torch.Generator().manual_seed(3))
    target = torch.full_like(image, IGNORE, dtype=torch.long)
    target[..., 2] = 1
    target[..., 3] = 0
    valid = torch.ones_like(image, dtype=torch.bool)
    valid[..., 0, :, :] = False
    return Batch(image, target, valid, torch.zeros(1, 2, dtype=torch.bool), torch.tensor([0.1]), (1.0, 1.0, 1.0))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv3d(1, 2, 1)


def method(kind: type[MeanTeacher] = MeanTeacher, **settings: float) -> MeanTeacher:
    made = kind(nn.ModuleDict({"primary": network(0)}), kind.Settings(**settings))
    made.teachers["primary"].load_state_dict(network(1).state_dict())  # has gone another way
    return made


@pytest.mark.parametrize(("fraction", "ramp"), [(0.0, math.exp(-5)), (0.5, math.exp(-1.25)), (1.0, 1.0)])
def test_terms_are_written_out(fraction, ramp):
    ours, case = method(noise=0.0, consistency_weight=0.4), batch()
    terms = ours.losses(case, Progress(0, 0, fraction))["primary"]
    student = network(0)(case.image).softmax(dim=1)
    teacher = network(1)(case.image).softmax(dim=1)
    difference = (student - teacher)[0, 1][case.valid[0, 0]].square().mean()
    torch.testing.assert_close(terms["consistency"], 0.4 * ramp * difference)
    torch.testing.assert_close(terms["partial"], PartialSupervisionLoss()(network(0)(case.image), case.target))


def test_the_teacher_sees_clipped_noise_inside_the_valid_region_alone():
    seen: list[Tensor] = []

    class Listener(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(image)
            return torch.cat([image, image], dim=1)

    ours, case = method(noise=0.1), batch()
    torch.manual_seed(4)
    for _ in range(2):
        ours.probabilities(Listener(), case)
    noise = seen[0] - case.image
    assert not noise[~case.valid].any()
    assert 0.08 < noise[case.valid].std() < 0.12
    assert noise.abs().max() <= 0.2 + 1e-6
    assert not torch.equal(seen[0], seen[1])


def test_gradients_reach_the_student_alone():
    ours = method()
    sum(ours.losses(batch(), Progress(0, 0, 1.0))["primary"].values()).backward()
    assert ours.networks["primary"].weight.grad.any()
    assert all(parameter.grad is None for parameter in ours.teachers.parameters())


def test_after_every_step_the_teacher_moves_by_its_share():
    ours = method(decay=0.9)
    before, student = ours.teachers["primary"].weight.clone(), ours.networks["primary"].weight
    ours.after_step(Progress(1000, 0, 0.5))
    torch.testing.assert_close(ours.teachers["primary"].weight, 0.9 * before + 0.1 * student)


def test_entropy_in_nats():
    p = torch.tensor([[0.5, 0.25, 1.0], [0.5, 0.75, 0.0]]).view(1, 2, 1, 1, 3)
    expected = [math.log(2), -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), 0.0]
    assert entropy(p).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("fraction", "limit"), [(0.0, 0.75 + 0.25 * math.exp(-5)), (1.0, 1.0)])
def test_a_teacher_is_followed_where_its_entropy_is_below_a_growing_limit(fraction, limit):
    ours, case = method(UncertaintyAwareMeanTeacher, noise=0.0), batch()
    _, mask = ours.taught(ours.teachers["primary"], case, Progress(0, 0, fraction))
    p = network(1)(case.image).softmax(dim=1)
    entropies = -(p * p.log()).sum(dim=1, keepdim=True)
    assert torch.equal(mask, case.valid & (entropies < limit * math.log(2)))
    assert 0 < mask.sum() <= case.valid.sum()


def test_uncertainty_is_the_entropy_of_the_mean_over_passes():
    """A teacher that is certain each time, but of something else: mean 1/4 and 3/4 over four passes."""

    class Wavering(nn.Module):
        passes = 0

        def forward(self, image: Tensor) -> Tensor:
            Wavering.passes += 1
            sign = 1 if Wavering.passes % 4 else -1
            return torch.cat([torch.zeros_like(image), torch.full_like(image, 50.0 * sign)], dim=1)

    case = batch()
    share = entropy(torch.tensor([0.25, 0.75]).view(1, 2, 1, 1, 1)).item() / math.log(2)  # 0.81
    for first_limit, is_followed in ((share - 0.02, False), (share + 0.02, True)):
        ours = method(UncertaintyAwareMeanTeacher, passes=4, first_limit=first_limit, noise=0.0)
        Wavering.passes = 0
        _, mask = ours.taught(Wavering(), case, Progress(0, 0, 0.0))
        assert Wavering.passes == 5  # four for the uncertainty, one to teach
        assert torch.equal(mask, case.valid) if is_followed else not mask.any()


def test_settings_are_those_of_the_mean_teacher_and_its_own():
    assert issubclass(UncertaintyAwareMeanTeacherSettings, MeanTeacherSettings)
    assert UncertaintyAwareMeanTeacherSettings().passes == 8
