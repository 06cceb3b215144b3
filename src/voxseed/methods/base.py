"""The contract between a method and the one training loop.

A method is a small object: it says what the losses of its networks are. It never loops, steps an optimiser, moves
devices or writes files. Targets that come from other networks are detached, so that one optimiser over all networks
does the same as one optimiser each.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from voxseed.registry import Registry
from voxseed.settings import Settings
from voxseed.supervision.kinds import ObjectInPatch, SupervisionKind
from voxseed.types import IGNORE, Spacing

TRUE_VOLUME = "true volume"
"""An oracle: the volume of every object, from dense labels."""

Terms = dict[str, dict[str, Tensor]]
"""Network → name of a weighted loss term → scalar."""


@dataclass(frozen=True)
class Batch:
    """Patches of B cases on the working grid.

    Attributes:
        image: (B, M, I, J, K) float32, normalised per case; 0 outside the valid region.
        target: (B, 1, I, J, K) int64, class index; IGNORE where unannotated and on padding.
        valid: (B, 1, I, J, K) bool; False on padding and outside the body.
        absent: (B, C) bool, classes that the annotation says do not occur in the case.
        noise: (B,) median intensity step between neighbours inside the foreground seeds; NaN where unknown.
        spacing_mm: of the working grid.
        probabilities: (B, C - 1, I, J, K) float32, foreground probability of each class, 0 on padding; None but for
            supervision of that kind.
        trusted: (B,) bool, False where the target was made by some tool and may be wrong; None where all are trusted.
        objects: of every sample, those of which the patch holds a part of the box; empty where nobody has a box.
    """

    image: Tensor
    target: Tensor
    valid: Tensor
    absent: Tensor
    noise: Tensor
    spacing_mm: Spacing
    probabilities: Tensor | None = None
    trusted: Tensor | None = None
    objects: tuple[tuple[ObjectInPatch, ...], ...] = ()

    @property
    def annotated(self) -> Tensor:
        """(B, 1, I, J, K) bool."""
        return self.target != IGNORE

    @property
    def certain(self) -> Tensor:
        """(B, 1, I, J, K) bool, annotated by somebody who is trusted."""
        return self.annotated if self.trusted is None else self.annotated & self.trusted.view(-1, 1, 1, 1, 1)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, for the data loader."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {key: change(value) for key, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        step: optimiser steps done.
        epoch: epochs done.
        fraction: of the stage, in [0, 1].
    """

    step: int
    epoch: int
    fraction: float


class Method(ABC):
    """Networks and what they learn from.

    Args:
        networks: trained ones by member name; none shares parameters with another.
        settings: an instance of `Settings`.

    Attributes:
        needs: the supervision that is asked of the dataset before anything starts.
        members: networks that are trained when the method runs on its own. One that is named after a plane
            (`voxseed.data.planes`) reads the slices of that plane, and is there only where such slices are annotated.
        networks, teachers: teachers are saved in checkpoints and unknown to the optimiser.
    """

    needs: ClassVar[SupervisionKind]
    members: ClassVar[tuple[str, ...]] = ("primary",)
    starts_from_networks: ClassVar[bool] = False
    """True where training from random weights makes no sense, as for a second stage."""
    architectures: ClassVar[Mapping[str, str]] = {}
    """Member → the network that it is where `architecture` is auto; others follow from the data."""
    needs_boxes: ClassVar[bool] = False
    """True where the losses need a box around every object, from points or boxes."""
    teacher_passes: ClassVar[int] = 0
    """Of the teacher of each network per step, with default settings; for the estimated time."""
    Settings: ClassVar[type[Settings]] = Settings
    summary: ClassVar[str]
    """One line for `voxseed list methods`."""

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        self.networks = networks
        self.teachers = nn.ModuleDict()
        self.settings = settings

    @classmethod
    def oracle(cls, settings: Any) -> tuple[str, ...]:
        """What it takes from dense labels beside its supervision, with these settings: nothing, or `TRUE_VOLUME`."""
        return ()

    @classmethod
    def rounds(cls, settings: Any) -> int:
        """Equal parts of the stage; between two of them `relabel` gives every case a new target."""
        return 1

    @abstractmethod
    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Weighted loss terms of every network."""

    def after_step(self, progress: Progress) -> None:
        """Called after every optimiser step, as for moving averages of weights and for teachers that are refreshed."""

    def relabel(self, case: Batch, probabilities: Tensor) -> Tensor:
        """Target of a whole case for the next round; asked only if there are several rounds.

        Args:
            case: the whole case as a batch of one, with the target of the first round.
            probabilities: (1, C, I, J, K), what the first network says now.

        Returns:
            (1, 1, I, J, K), class index, IGNORE where nobody knows.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rounds.")

    def state(self) -> dict[str, Any]:
        """Memory beside the networks and teachers, as plain types."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave."""


METHODS: Registry[type[Method]] = Registry("method", "voxseed.methods")
register_method = METHODS.register
