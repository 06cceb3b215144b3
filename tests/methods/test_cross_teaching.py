"""Cross-teaching: every switch, and the loss by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from voxseed.data.planes import PLANES
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Progress
from voxseed.methods.cross_teaching import CrossTeaching, CrossTeachingSettings
from voxseed.methods.lessons import Opinion, opinion_of
from voxseed.types import IGNORE

END = Progress(10, 1, 1.0)


def conv(seed: int) -> nn.Module:
    """Class 0 of dark and class 2 of bright voxels: confident of many, and of one mind with other seeds on most."""
    torch.manual_seed(seed)
    network = nn.Conv3d(1, 3, 1)
    with torch.no_grad():
        network.weight += torch.tensor([-6.0, 0.0, 6.0]).view(3, 1, 1, 1, 1)
    return network


def method(planes: tuple[str, ...] = ("axial", "coronal"), **settings: object) -> CrossTeaching:
    networks = nn.ModuleDict({name: conv(seed) for seed, name in enumerate(("primary", *planes))})
    return CrossTeaching(networks, CrossTeachingSettings(**settings))


def batch(seed: int = 5) -> Batch:
    """Two samples of three classes; one slice of each is annotated, one corner is invalid."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 1, 4, 5, 6, generator=generator)
    target = torch.full_like(image, IGNORE, dtype=torch.long)
    target[..., 2] = torch.randint(0, 3, (2, 1, 4, 5), generator=generator)
    valid = torch.ones_like(image, dtype=torch.bool)
    valid[..., 0, :, :] = False
    return Batch(image, target, valid, torch.zeros(2, 3, dtype=torch.bool), torch.full((2,), 0.1), (1.0, 1.0, 1.0))


def row(values: list, dtype: torch.dtype = torch.long) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype).view(1, 1, 1, 1, -1)


def pseudo_labels(opinions: dict[str, tuple[list, list]], target: list, **settings: object) -> dict[str, list[int]]:
    planes = tuple(name for name in opinions if name != "primary")
    said = {name: Opinion(row(labels), row(sure, torch.float32)) for name, (labels, sure) in opinions.items()}
    like = row(target)
    case = Batch(
        torch.zeros(like.shape),
        like,
        torch.ones(like.shape, dtype=torch.bool),
        torch.zeros(1, 3, dtype=torch.bool),
        torch.zeros(1),
        (1.0, 1.0, 1.0),
    )
    found = method(planes, **settings).pseudo_labels(said, case)
    return {name: label.flatten().tolist() for name, label in found.items()}


OPINIONS = {
    "primary": ([1, 0, 2, 1], [0.95, 0.8, 0.6, 0.99]),
    "axial": ([1, 1, 2, 0], [0.6, 0.92, 0.5, 0.7]),
    "coronal": ([1, 1, 0, 0], [0.7, 0.6, 0.95, 0.9]),
}
AGREEING, OBJECTING = [255, 255, 255, 1], [0, 255, 255, 255]
"""Annotations that the 3D network has right and wrong."""


@pytest.mark.parametrize(
    ("settings", "target", "expected"),
    [
        # The quality gate is not passed: above 0.9. Fusion: agreed, agreed and surer, not agreed, objected.
        ({}, OBJECTING, {"axial": [1, 255, 255, 1], "primary": [1, 1, 255, 255]}),
        ({}, AGREEING, {"axial": [1, 0, 255, 1], "coronal": [1, 0, 255, 1]}),  # it is passed: above 0.7
        ({"hard_soft": False}, AGREEING, {"axial": [1, 255, 255, 1]}),
        ({"soft_threshold": 0.5}, AGREEING, {"axial": [1, 0, 2, 1]}),
        ({"threshold": 0.97}, OBJECTING, {"axial": [255, 255, 255, 1]}),
        ({"quality_bar": 1.0}, AGREEING, {"axial": [1, 255, 255, 1]}),  # must be exceeded
        ({"quality": "dice"}, AGREEING, {"axial": [1, 0, 255, 1]}),
        ({"quality": "dice"}, [255, 0, 255, 255], {"axial": [1, 255, 255, 1]}),  # right, but no foreground to measure
        ({"quality": "accuracy"}, [255, 0, 255, 255], {"axial": [1, 0, 255, 1]}),
        # Without fusion: the surer 2D network, above the threshold.
        ({"fusion": False}, OBJECTING, {"primary": [255, 1, 0, 255]}),
        ({"teach_volume": False}, OBJECTING, {"primary": [255] * 4, "axial": [1, 255, 255, 1]}),
        ({"teach_slices": False}, OBJECTING, {"primary": [1, 1, 255, 255], "axial": [255] * 4, "coronal": [255] * 4}),
        # Each other: where the 3D network teaches nothing.
        ({"teach_each_other": True}, OBJECTING, {"axial": [1, 255, 0, 1], "coronal": [1, 1, 255, 1]}),
        (
            {"teach_each_other": True, "teach_slices": False, "teach_volume": False},
            OBJECTING,
            {"axial": [255, 255, 0, 255], "coronal": [255, 1, 255, 255], "primary": [255] * 4},
        ),
    ],
)
def test_every_switch_on_four_voxels(settings, target, expected):
    found = pseudo_labels(OPINIONS, target, **settings)
    assert {name: found[name] for name in expected} == expected


def test_one_plane_teaches_by_the_threshold():
    opinions = {name: OPINIONS[name] for name in ("primary", "axial")}
    expected = {"axial": [1, 255, 255, 1], "primary": [255, 1, 255, 255]}
    for settings in ({}, {"fusion": False}, {"teach_each_other": True}):
        assert pseudo_labels(opinions, OBJECTING, **settings) == expected


def by_hand(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Half weighted cross-entropy and half weighted squared Dice over the foreground classes, of one sample."""
    p = logits.softmax(dim=0)
    known = label != IGNORE
    w = weights * known
    cross_entropy = (w * F.cross_entropy(logits[None], label[None], ignore_index=IGNORE, reduction="none")[0]).sum()
    terms = []
    for c in (1, 2):
        q = (label == c).float()
        if q.any():
            terms.append(1 - 2 * (w * p[c] * q).sum() / (w * (p[c] ** 2 + q)).sum())
    return 0.5 * cross_entropy / w.sum() + 0.5 * sum(terms) / len(terms)


@pytest.mark.parametrize(("fraction", "ramp"), [(0.0, math.exp(-5)), (0.5, math.exp(-1.25)), (1.0, 1)])
def test_the_loss_is_written_out(fraction, ramp):
    ours, case = method(), batch()
    terms = ours.losses(case, Progress(0, 0, fraction))
    logits = {name: network(case.image).detach() for name, network in ours.networks.items()}
    labels = ours.pseudo_labels({name: opinion_of(each) for name, each in logits.items()}, case)
    for name, named in terms.items():
        losses = []
        for sample in range(2):
            target, valid = case.target[sample, 0], case.valid[sample, 0]
            known = target != IGNORE
            label = torch.where(known, target, torch.where(valid, labels[name][sample, 0], IGNORE))
            weights = torch.where(known, 1.0, 0.1 * ramp)
            losses.append(by_hand(logits[name][sample], label, weights))
            assert (label[~known] != IGNORE).any()  # something is taught
        assert list(named) == ["cross_teaching"]
        torch.testing.assert_close(named["cross_teaching"], sum(losses) / 2)


def test_with_everything_off_it_is_partial_supervision():
    ours, case = method(teach_slices=False, teach_volume=False), batch()
    for name, named in ours.losses(case, END).items():
        expected = PartialSupervisionLoss()(ours.networks[name](case.image), case.target)
        torch.testing.assert_close(named["cross_teaching"], expected)


def test_what_a_network_learns_moves_no_other():
    ours, case = method(), batch()
    ours.losses(case, END)["axial"]["cross_teaching"].backward()
    assert ours.networks["axial"].weight.grad.any()
    assert ours.networks["primary"].weight.grad is None
    assert ours.networks["coronal"].weight.grad is None


def test_a_batch_without_any_annotation_teaches_nothing():
    ours, case = method(), batch()
    case.target.fill_(IGNORE)
    terms = ours.losses(case, END)
    assert [named["cross_teaching"].item() for named in terms.values()] == [0, 0, 0]


def test_members_are_the_3d_network_and_one_per_plane():
    assert CrossTeaching.members[0] == "primary"
    assert set(CrossTeaching.members) == {"primary", *PLANES}
