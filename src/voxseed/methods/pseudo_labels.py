"""Labels that networks made, and what is asked of them."""

import copy

import torch
from torch import Tensor, nn

from voxseed.methods.base import Batch
from voxseed.types import IGNORE


def pseudo_label(scores: Tensor, batch: Batch) -> Tensor:
    """Most probable class (B, 1, I, J, K) of those that may occur in the case; IGNORE outside the valid region.

    Args:
        scores: (B, C, I, J, K), logits or probabilities.
        batch: says where it is valid, and which classes are absent.
    """
    return torch.where(batch.valid, without_absent(scores, batch).argmax(dim=1, keepdim=True), IGNORE)


def without_absent(scores: Tensor, batch: Batch) -> Tensor:
    """Scores (B, C, I, J, K), those of absent classes below all others."""
    return scores.masked_fill(batch.absent[:, :, None, None, None], float("-inf"))


def frozen_copy(network: nn.Module) -> nn.Module:
    """A teacher with the weights of a network."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def mean_probabilities(teachers: nn.ModuleDict, image: Tensor) -> Tensor:
    """Mean over teachers of their probabilities: (B, C, I, J, K), float32."""
    return torch.stack([teacher(image).float().softmax(dim=1) for teacher in teachers.values()]).mean(dim=0)


def noisy_label(batch: Batch, probabilities: Tensor, keep_annotated: bool) -> tuple[Tensor, Tensor]:
    """The label that a method which expects errors learns from, and where there is none.

    Args:
        probabilities: (B, C, I, J, K), of the networks that the stage began with.
        keep_annotated: whether what somebody annotated stays as it is.

    Returns:
        label: (B, 1, I, J, K), class index: what a tool labelled, else what was annotated and is kept, else the most
            probable class; IGNORE outside the valid region, whatever is known there.
        certain: (B, 1, I, J, K), bool, where the label is kept from an annotation, which is not doubted.
    """
    certain = kept(batch, keep_annotated)
    given = certain | (batch.annotated & ~batch.certain & batch.valid)
    return torch.where(given, batch.target, pseudo_label(probabilities, batch)), certain


def kept(batch: Batch, keep_annotated: bool) -> Tensor:
    """Valid voxels that keep an annotation which is not doubted: (B, 1, I, J, K), bool.

    Invalid voxels are known to be background, and easy: among pseudo labels they would only thin out what is learned
    elsewhere.
    """
    return batch.certain & batch.valid & keep_annotated
