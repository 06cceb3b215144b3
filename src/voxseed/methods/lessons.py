"""What one network teaches another: pseudo labels, and which of them to believe. Labels are (B, 1, I, J, K), int64.

Cai et al. 2023 (cross-teaching between 3D and 2D networks), section 2.2. Nothing here carries a gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from voxseed.methods.base import Batch
from voxseed.types import IGNORE

Quality = Literal["accuracy", "dice"]


@dataclass(frozen=True)
class Opinion:
    """What a network thinks.

    Attributes:
        label: (B, 1, I, J, K) int64, most probable class.
        confidence: (B, 1, I, J, K) float32, its probability.
    """

    label: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class Lesson:
    """What a network learns from.

    Attributes:
        label: (B, 1, I, J, K) int64; IGNORE where there is nothing to learn.
        weights: (B, 1, I, J, K) float32, of each label.
    """

    label: Tensor
    weights: Tensor


def opinion_of(logits: Tensor) -> Opinion:
    """The opinion behind logits (B, C, I, J, K)."""
    confidence, label = logits.detach().float().softmax(dim=1).max(dim=1, keepdim=True)
    return Opinion(label, confidence)


def where_confident(opinion: Opinion, threshold: float | Tensor) -> Tensor:
    """The label where its probability is above the threshold, IGNORE elsewhere.

    Args:
        threshold: one for all samples, or (B,).
    """
    if isinstance(threshold, Tensor):
        threshold = threshold.view(-1, 1, 1, 1, 1)
    return torch.where(opinion.confidence > threshold, opinion.label, IGNORE)


def where_agreed(first: Opinion, second: Opinion, learner: Opinion) -> Tensor:
    """Consistent label fusion: the label of two networks where they agree, IGNORE elsewhere.

    Also IGNORE where the network that is to learn it thinks otherwise and is more confident than both.
    """
    surer = learner.confidence > torch.maximum(first.confidence, second.confidence)
    objected = surer & (learner.label != first.label)
    return torch.where((first.label == second.label) & ~objected, first.label, IGNORE)


def most_confident(opinions: Sequence[Opinion]) -> Opinion:
    """At every voxel, the opinion of the most confident network; of the first, where several are."""
    confidence, number = torch.cat([each.confidence for each in opinions], dim=1).max(dim=1, keepdim=True)
    return Opinion(torch.cat([each.label for each in opinions], dim=1).gather(1, number), confidence)


def agreement(label: Tensor, target: Tensor, measure: Quality) -> Tensor:
    """How well a label agrees with the annotated voxels of each sample: (B,) in [0, 1].

    Args:
        label: of a network.
        target: class indices, IGNORE where unannotated.
        measure: accuracy, the share of annotated voxels that are right; or dice, the mean Dice over the foreground
            classes that occur in the annotation. 0 where there is nothing to measure.
    """
    return torch.stack([_agreement(*pair, measure) for pair in zip(label, target, strict=True)])


def lesson(pseudo_label: Tensor, pseudo_weight: float, batch: Batch) -> Lesson:
    """Annotated voxels with their target and weight 1; others with the pseudo label and its weight, if they have one.

    There are no pseudo labels outside the valid region, of classes that are known to be absent, and in samples
    without any annotated voxel, in which they would count as much as annotations do elsewhere.
    """
    annotated = batch.annotated
    classes = pseudo_label.clamp(max=batch.absent.shape[1] - 1).flatten(1)
    is_absent = batch.absent.gather(1, classes).view_as(pseudo_label)
    has_annotation = annotated.flatten(1).any(dim=1).view(-1, 1, 1, 1, 1)
    usable = batch.valid & has_annotation & ~is_absent
    label = torch.where(annotated, batch.target, torch.where(usable, pseudo_label, IGNORE))
    return Lesson(label, torch.where(annotated, 1.0, pseudo_weight))


def _agreement(label: Tensor, target: Tensor, measure: Quality) -> Tensor:
    """Of one sample, a scalar."""
    annotated = target != IGNORE
    said, truth = label[annotated], target[annotated]
    if measure == "accuracy":
        return (said == truth).sum() / max(truth.numel(), 1)
    scores = [_dice(said == index, truth == index) for index in truth.unique().tolist() if index != 0]
    return torch.stack(scores).mean() if scores else torch.zeros((), device=label.device)


def _dice(first: Tensor, second: Tensor) -> Tensor:
    return 2 * (first & second).sum() / (first.sum() + second.sum())
