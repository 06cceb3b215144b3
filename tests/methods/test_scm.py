"""Self and cross monitoring: terms by hand, teachers, refreshes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from voxseed.methods.base import Batch, Progress
from voxseed.methods.scm import SCMSettings, SelfAndCrossMonitoring


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv3d(1, 2, 1)


def _method(**settings: float) -> SelfAndCrossMonitoring:
    networks = nn.ModuleDict({"primary": _network(0), "auxiliary": _network(1)})
    return SelfAndCrossMonitoring(networks, SCMSettings(**settings))


def _batch() -> Batch:
    image = torch.randn(1, 1, 3, 4, 2, generator=torch.Generator().manual_seed(5))
    valid = torch.ones(1, 1, 3, 4, 2, dtype=torch.bool)
    valid[..., 0, 0, 0] = False
    target = torch.full_like(image, 255, dtype=torch.long)
    target[~valid] = 0  # as supervision has it
    return Batch(
        image=image,
        target=target,
        valid=valid,
        absent=torch.zeros(1, 2, dtype=torch.bool),
        noise=torch.tensor([0.1]),
        spacing_mm=(1.0, 1.0, 1.0),
    )


def _moved(method: SelfAndCrossMonitoring) -> None:
    """Students that are no longer their teachers."""
    with torch.no_grad():
        for index, network in enumerate(method.networks.values()):
            network.weight.mul_(0.5 + index)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_terms_equal_the_equations_written_out(share):
    method, batch = _method(cross_weight=share, temperature=4.0, keep_annotated=False), _batch()
    batch.target[..., 1, 1, 1] = 1  # does not matter
    _moved(method)
    terms = method.losses(batch, Progress(0, 0, 0.0))
    valid = batch.valid[0, 0]
    for name, other in (("primary", "auxiliary"), ("auxiliary", "primary")):
        student = method.networks[name](batch.image)[0][:, valid]
        own, others = (method.teachers[each](batch.image)[0][:, valid] for each in (name, other))
        hard = own.argmax(dim=0)
        cross_entropy = F.cross_entropy(student.T, hard)
        probability, truth = student.softmax(dim=0)[1], (hard == 1).float()
        dice = 1 - 2 * (probability * truth).sum() / (probability.square().sum() + truth.sum())
        soft_teacher, soft_student = (others / 4).softmax(dim=0), (student / 4).softmax(dim=0)
        divergence = (soft_teacher * (soft_teacher / soft_student).log()).sum(dim=0).mean()
        torch.testing.assert_close(terms[name]["self"], (1 - share) * (cross_entropy + dice) / 2)
        torch.testing.assert_close(terms[name]["cross"], share * 16 * divergence)


def test_supervised_voxels_keep_their_target_and_are_distilled_like_all():
    method, batch = _method(cross_weight=0.25, temperature=4.0), _batch()
    _moved(method)
    batch.target[..., 1, 1, 1] = 1
    batch.target[..., 2, 1, 1] = 0
    known, valid = batch.target[0, 0] != 255, batch.valid[0, 0]
    terms = method.losses(batch, Progress(0, 0, 0.0))
    student = method.networks["primary"](batch.image)[0]
    own, others = (method.teachers[name](batch.image)[0] for name in ("primary", "auxiliary"))
    hard = torch.where(known, batch.target[0, 0], own.argmax(dim=0))[valid]
    probability, truth = student.softmax(dim=0)[1][valid], (hard == 1).float()
    dice = 1 - 2 * (probability * truth).sum() / (probability.square().sum() + truth.sum())
    cross_entropy = F.cross_entropy(student[:, valid].T, hard)
    soft_teacher, soft_student = ((each[:, valid] / 4).softmax(dim=0) for each in (others, student))
    divergence = (soft_teacher * (soft_teacher / soft_student).log()).sum(dim=0).mean()
    torch.testing.assert_close(terms["primary"]["self"], 0.75 * (cross_entropy + dice) / 2)
    torch.testing.assert_close(terms["primary"]["cross"], 0.25 * 16 * divergence)


def test_gradients_reach_students_alone():
    method = _method()
    _moved(method)
    terms = method.losses(_batch(), Progress(0, 0, 0.0))
    sum(sum(named.values()) for named in terms.values()).backward()
    assert all(parameter.grad is not None for parameter in method.networks.parameters())
    assert all(parameter.grad is None for parameter in method.teachers.parameters())


def test_labels_of_a_tool_are_not_kept():
    settings = {"cross_weight": 0.25, "temperature": 4.0}
    method, batch = _method(**settings), _batch()
    _moved(method)
    batch.target[..., 1, 1, 1] = 1 - method.teachers["primary"](batch.image).argmax(dim=1)[0, 1, 1, 1]
    untrusted = replace(batch, trusted=torch.tensor([False]))
    unannotated = replace(batch, target=torch.full_like(batch.target, 255))
    found, expected = (method.losses(each, Progress(0, 0, 0.0))["primary"] for each in (untrusted, unannotated))
    for term, value in found.items():
        torch.testing.assert_close(value, expected[term])
    assert not torch.allclose(found["self"], method.losses(batch, Progress(0, 0, 0.0))["primary"]["self"])


@pytest.mark.parametrize(
    ("refreshes", "steps", "expected"),
    [
        (5, 10, [2, 4, 6, 8]),  # every fifth of the stage, but not at its end
        (5, 4, [1, 2, 3]),  # as often as there are steps
        (1, 10, []),  # the copies of the start teach throughout
    ],
)
def test_teachers_are_refreshed_at_every_part_of_the_stage(refreshes, steps, expected):
    method = _method(refreshes=refreshes)
    refreshed = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            method.networks["primary"].weight.add_(1)
        method.after_step(Progress(step, 0, step / steps))
        if torch.equal(method.networks["primary"].weight, method.teachers["primary"].weight):
            refreshed.append(step)
    assert refreshed == expected


def test_the_number_of_refreshes_survives_a_restart():
    method, restarted = _method(), _method()
    method.after_step(Progress(2, 2, 0.2))
    restarted.load_state(method.state())
    restarted.networks["primary"].weight.data.add_(1)
    restarted.after_step(Progress(3, 3, 0.3))
    assert not torch.equal(restarted.networks["primary"].weight, restarted.teachers["primary"].weight)
