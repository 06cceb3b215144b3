"""A small batch and small networks, for tests of methods."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from voxseed.methods.base import Batch
from voxseed.supervision.kinds import ObjectInPatch


@pytest.fixture
def small_batch() -> Batch:
    """Two samples of 4 x 5 x 3, three classes and a box of each; half is annotated, one voxel known to be invalid."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(2, 1, 4, 5, 3, generator=generator)
    target = torch.randint(0, 3, image.shape, generator=generator)
    target[torch.rand(image.shape, generator=generator) < 0.5] = 255
    valid = torch.ones_like(image, dtype=torch.bool)
    valid[..., 0, 0, 0] = False
    target[~valid] = 0  # as supervision has it
    objects = tuple(
        (
            ObjectInPatch(1, (0, 0, 0), (3, 3, 3), True, (3, 3, 3), 10.0),
            ObjectInPatch(2, (1, 2, 0), (4, 5, 3), number == 0, (3, 3, 3), 8.0),
        )
        for number in range(2)
    )
    return Batch(
        image=image,
        target=target,
        valid=valid,
        absent=torch.zeros(2, 3, dtype=torch.bool),
        noise=torch.tensor([0.2, 0.2]),
        spacing_mm=(1.0, 1.0, 1.0),
        objects=objects,
    )


@pytest.fixture
def untrusted_batch(small_batch: Batch) -> Batch:
    """The same, labelled by a tool."""
    return replace(small_batch, trusted=torch.tensor([False, False]))


@pytest.fixture
def networks() -> Callable[..., nn.ModuleDict]:
    """Makes networks of one 1 x 1 x 1 convolution, one input and three classes, that differ."""

    def make(*members: str) -> nn.ModuleDict:
        made = nn.ModuleDict()
        for number, member in enumerate(members):
            torch.manual_seed(number)
            made[member] = nn.Conv3d(1, 3, 1)
            with torch.no_grad():
                made[member].weight.mul_(3)
        return made

    return make


@pytest.fixture
def moved() -> Callable[[nn.ModuleDict], None]:
    """Changes trained networks, so that they are no longer what their stage began with."""

    def move(networks: nn.ModuleDict) -> None:
        generator = torch.Generator().manual_seed(9)
        with torch.no_grad():
            for parameter in networks.parameters():
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))

    return move
