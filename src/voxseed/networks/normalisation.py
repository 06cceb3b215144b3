"""Normalisation that does not depend on the batch."""

from torch import nn


def without_batch_statistics(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm3d by an affine InstanceNorm3d, in place, and return the network.

    With one or two patches per batch, statistics of the batch are those of a single patch while running averages
    mix all cases, so the same weights would answer differently in training and in prediction.
    """
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm3d):
            setattr(network, name, nn.InstanceNorm3d(child.num_features, eps=child.eps, affine=True))
        else:
            without_batch_statistics(child)
    return network
