"""Co-teaching: who learns which voxels."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Progress
from voxseed.methods.co_teaching import CoTeaching, CoTeachingSettings


@pytest.mark.parametrize(("fraction", "kept"), [(0.0, 1.0), (0.05, 0.8), (0.1, 0.6), (1.0, 0.6)])
@pytest.mark.parametrize(("trusted", "keep_annotated"), [(True, True), (True, False), (False, True)])
def test_each_learns_what_the_other_finds_easy(trusted, keep_annotated, fraction, kept, small_batch, networks, moved):
    batch = replace(small_batch, trusted=torch.tensor([trusted, trusted]))
    settings = CoTeachingSettings(noise_share=0.4, keep_annotated=keep_annotated)
    method = CoTeaching(networks("primary", "auxiliary"), settings)
    moved(method.networks)
    terms = method.losses(batch, Progress(0, 0, fraction))
    began = networks("primary", "auxiliary")
    mean = sum(network(batch.image).softmax(dim=1) for network in began.values())
    annotated = (batch.target != 255) & batch.valid
    known = annotated & (trusted and keep_annotated)
    given = known if trusted else annotated  # what a tool labelled is the label, but is doubted
    label = torch.where(given, batch.target, mean.argmax(dim=1, keepdim=True))
    for name, other in (("primary", "auxiliary"), ("auxiliary", "primary")):
        losses = F.cross_entropy(method.networks[other](batch.image), label[:, 0], reduction="none")
        target = torch.full_like(label, 255)
        for sample in range(2):
            doubtful = (batch.valid & ~known)[sample, 0].nonzero().tolist()
            order = sorted(doubtful, key=lambda v, sample=sample: losses[(sample, *v)].item())
            for voxel in [*order[: round(kept * len(order))], *known[sample, 0].nonzero().tolist()]:
                target[(sample, 0, *voxel)] = label[(sample, 0, *voxel)]
        expected = PartialSupervisionLoss()(method.networks[name](batch.image), target)
        torch.testing.assert_close(terms[name]["co_teaching"], expected)


def test_gradients_reach_students_alone(small_batch, networks):
    method = CoTeaching(networks("primary", "auxiliary"), CoTeachingSettings())
    terms = method.losses(small_batch, Progress(0, 0, 1.0))
    sum(sum(named.values()) for named in terms.values()).backward()
    assert all(parameter.grad is not None for parameter in method.networks.parameters())
    assert all(parameter.grad is None for parameter in method.teachers.parameters())
