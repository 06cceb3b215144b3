"""Adaptive self-ensembling: terms by hand, and when the average follows."""

import pytest
import torch

from voxseed.losses.noise_robust_dice import NoiseRobustDiceLoss
from voxseed.methods.base import Progress
from voxseed.methods.self_ensembling import SelfEnsembling, SelfEnsemblingSettings


@pytest.fixture
def method(networks) -> SelfEnsembling:
    return SelfEnsembling(networks("primary"), SelfEnsemblingSettings(consistency_weight=0.5))


@pytest.mark.parametrize("average_is_better", [True, False])
def test_terms_equal_the_equations_written_out(average_is_better, method, small_batch, networks):
    began = networks("primary")["primary"]
    worse = method.networks["primary"] if average_is_better else method.teachers["average"]
    with torch.no_grad():
        worse.weight.mul_(-1)
    terms = method.losses(small_batch, Progress(0, 0, 0.0))["primary"]
    label = began(small_batch.image).argmax(dim=1, keepdim=True)
    label = torch.where(small_batch.target != 255, small_batch.target, label)
    label[~small_batch.valid] = 255
    own, average = (
        network(small_batch.image).softmax(dim=1)
        for network in (method.networks["primary"], method.teachers["average"])
    )
    loss = NoiseRobustDiceLoss(1.5)
    assert (loss(average, label) < loss(own, label)) == average_is_better
    torch.testing.assert_close(terms["noise_robust_dice"], loss(own, label))
    squares = [(own - average)[sample].square()[:, small_batch.valid[sample, 0]].mean() for sample in range(2)]
    expected = 0.5 * sum(squares) / 2 if average_is_better else torch.tensor(0.0)
    torch.testing.assert_close(terms["consistency"], expected)


def test_gradients_reach_the_student_alone(method, small_batch, moved):
    moved(method.networks)
    sum(method.losses(small_batch, Progress(0, 0, 0.0))["primary"].values()).backward()
    assert all(parameter.grad is not None for parameter in method.networks.parameters())
    assert all(parameter.grad is None for parameter in method.teachers.parameters())


def _step(method: SelfEnsembling, loss: float, step: int) -> bool:
    """Whether the average followed at a step of that loss."""
    before = method.teachers["average"].weight.clone()
    with torch.no_grad():
        method.networks["primary"].weight.add_(1)
    method._newest = torch.tensor(loss)
    method.after_step(Progress(step, 0, 0.0))
    return not torch.equal(before, method.teachers["average"].weight)


def test_the_average_follows_unless_the_loss_is_among_the_recent_worse_ones(networks):
    method = SelfEnsembling(networks("primary"), SelfEnsemblingSettings(history=4, good_share=0.75))
    losses = [0.4, 0.5, 0.3, 0.6, 0.45, 0.58, 0.2]
    # 0.75 quantiles of at most four losses before: none, 0.4, 0.475, 0.45, 0.525, 0.525, 0.585
    expected = [True, False, True, False, True, False, True]
    assert [_step(method, loss, step) for step, loss in enumerate(losses, start=1)] == expected


def test_the_recent_losses_survive_a_restart(networks):
    method = SelfEnsembling(networks("primary"), SelfEnsemblingSettings(history=3))
    for step, loss in enumerate([0.1, 0.5, 0.4, 0.3], start=1):
        _step(method, loss, step)
    restarted = SelfEnsembling(networks("primary"), SelfEnsemblingSettings(history=3))
    restarted.load_state(method.state())
    assert restarted.state() == method.state() == {"recent": pytest.approx([0.5, 0.4, 0.3])}
    assert not _step(restarted, 0.6, 5)


def test_the_labeller_never_changes(method, small_batch, moved):
    before = method.teachers["labeller"].weight.clone()
    moved(method.networks)
    method.losses(small_batch, Progress(0, 0, 0.0))
    method.after_step(Progress(1, 0, 0.0))
    assert torch.equal(before, method.teachers["labeller"].weight)
