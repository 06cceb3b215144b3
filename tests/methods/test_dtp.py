"""Deep tightness prior: three terms, and barriers that harden."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.losses.size_barrier import SizeBarrierLoss
from voxseed.losses.tightness import TightnessLoss
from voxseed.methods.base import Progress
from voxseed.methods.dtp import DeepTightnessPrior, DTPSettings
from voxseed.methods.object_volume import VolumeSettings


@pytest.mark.parametrize(("fraction", "t"), [(0.0, 5.0), (0.5, 5 * 1.1**50), (1.0, 5 * 1.1**100)])
def test_terms_are_the_losses_with_their_weights(fraction, t, small_batch, networks):
    settings = DTPSettings(
        tightness_weight=0.3,
        size_weight=0.2,
        band_width_voxels=2,
        margin_voxels=1,
        volume=VolumeSettings(source="label"),
    )
    method = DeepTightnessPrior(networks("primary"), settings)
    terms = method.losses(small_batch, Progress(0, 0, fraction))["primary"]
    logits = method.networks["primary"](small_batch.image)
    p = logits.softmax(dim=1)
    torch.testing.assert_close(terms["emptiness"], PartialCrossEntropyLoss()(logits, small_batch.target))
    torch.testing.assert_close(terms["tightness"], 0.3 * TightnessLoss(2, 1)(p, small_batch.objects, t))
    torch.testing.assert_close(terms["size"], 0.2 * SizeBarrierLoss()(p, small_batch.objects, t))


def test_weights_of_zero_leave_terms_out(small_batch, networks):
    method = DeepTightnessPrior(networks("primary"), DTPSettings(tightness_weight=0, size_weight=0))
    assert set(method.losses(small_batch, Progress(0, 0, 0.0))["primary"]) == {"emptiness", "other_classes"}


def test_a_class_without_a_box_may_be_in_the_boxes_of_others(small_batch, networks):
    """It may be that nobody said anything about it."""
    batch = replace(small_batch, objects=tuple(objects[:1] for objects in small_batch.objects))
    method = DeepTightnessPrior(networks("primary"), DTPSettings())
    assert method.losses(batch, Progress(0, 0, 0.0))["primary"]["other_classes"].item() == 0


def test_a_class_has_no_place_in_the_boxes_of_another(small_batch, networks):
    method = DeepTightnessPrior(networks("primary"), DTPSettings())
    found = method.losses(small_batch, Progress(0, 0, 0.0))["primary"]["other_classes"]
    p = method.networks["primary"](small_batch.image).softmax(dim=1)
    means = []
    for sample in range(2):
        losses = []
        for voxel in np.ndindex(4, 5, 3):
            i, j, _ = voxel
            first, second = i < 3 and j < 3, i >= 1 and j >= 2  # the boxes of the two classes
            if small_batch.target[(sample, 0, *voxel)] == 255 and first != second:
                allowed = p[(sample, 0, *voxel)] + p[(sample, 1 if first else 2, *voxel)]
                losses.append(-allowed.log())
        means.append(sum(losses) / len(losses))
    torch.testing.assert_close(found, sum(means) / 2)
