"""Losses by name. Every loss is one module of this package and can be used alone, outside Voxseed's training loop."""

from typing import Final

from torch import nn

from voxseed.registry import Registry

LOSSES: Final = Registry[type[nn.Module]]("loss", "voxseed.losses")
register_loss = LOSSES.register
