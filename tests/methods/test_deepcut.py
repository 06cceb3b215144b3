"""DeepCut: boxes as the first target, and what inference makes of them."""

from dataclasses import replace

import torch

from voxseed.losses.crf_window import Window
from voxseed.losses.mean_field import mean_field
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Progress
from voxseed.methods.box_classes import classes_in_boxes
from voxseed.methods.deepcut import DeepCut, DeepCutSettings, MeanFieldSettings, boxes_filled
from voxseed.supervision.kinds import ObjectInPatch


def _row(values) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, 1, -1)


def test_what_nobody_knows_in_a_box_is_its_object_and_the_smaller_box_wins(small_batch):
    objects = (
        ObjectInPatch(2, (0, 0, 2), (1, 1, 4), True, (1, 1, 2)),
        ObjectInPatch(1, (0, 0, 1), (1, 1, 6), True, (1, 1, 5)),
    )
    batch = replace(
        small_batch,
        image=_row([0.0] * 7),
        target=_row([0, 255, 255, 255, 0, 255, 255]),
        valid=_row([True, True, True, True, True, False, True]),
        objects=(objects,),
    )
    # annotated voxels stay, and so do invalid ones and those outside every box
    assert boxes_filled(batch).flatten().tolist() == [0, 1, 2, 2, 0, 255, 255]
    assert batch.target.flatten().tolist() == [0, 255, 255, 255, 0, 255, 255]
    allowed = classes_in_boxes(batch, 3)[0, :, 0, 0].int().tolist()
    assert allowed == [[1] * 7, [0, 1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0, 0]]


def test_the_term_is_ce_and_dice_with_the_filled_boxes(small_batch, networks):
    method = DeepCut(networks("primary"), DeepCutSettings())
    terms = method.losses(small_batch, Progress(0, 0, 0.0))["primary"]
    logits = method.networks["primary"](small_batch.image)
    expected = PartialSupervisionLoss()(logits, boxes_filled(small_batch))
    torch.testing.assert_close(terms["segmentation"], expected)
    assert not torch.allclose(expected, PartialSupervisionLoss()(logits, small_batch.target))


def test_a_new_target_is_the_argmax_of_mean_field_inference_in_the_boxes(small_batch, networks):
    crf = MeanFieldSettings(radius_voxels=(1, 1, 1), sigma_x=0.5, pair_weight=0.4, iterations=2)
    method = DeepCut(networks("primary"), DeepCutSettings(crf=crf))
    probabilities = torch.randn(2, 3, 4, 5, 3, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    target = method.relabel(small_batch, probabilities)
    allowed = classes_in_boxes(small_batch, 3)
    window = Window((1, 1, 1), 6.0)
    q = mean_field(probabilities, allowed, small_batch.image, small_batch.valid, 0.5, window, 0.4, 2)
    known = small_batch.target != 255
    in_box = allowed[:, 1:].any(dim=1, keepdim=True)
    assert torch.equal(target[known], small_batch.target[known])
    assert torch.equal(target[~known & in_box], q.argmax(dim=1, keepdim=True)[~known & in_box])
    assert (target[~known & ~in_box] == 255).all()  # another class, of which nobody said anything, may be there


def test_the_stage_has_as_many_rounds_as_the_setting_says():
    assert DeepCut.rounds(DeepCutSettings(rounds=3)) == 3
