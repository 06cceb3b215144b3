"""The decisions of a run, and how they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxseed.data.planes import Plane
from voxseed.data.preprocessing import Preprocessing
from voxseed.methods.base import METHODS
from voxseed.types import Shape3, Spacing

Networks = dict[str, dict[str, Any]]
"""Member → arguments of `build_network` but for channels and classes, with "architecture"."""


@dataclass(frozen=True)
class PlannedStage:
    """A stage with its length decided."""

    method: str
    members: tuple[str, ...]
    iterations: int
    epoch_length: int


@dataclass(frozen=True)
class Plan:
    """Decisions of a run, and estimates.

    Attributes:
        seconds_per_iteration: forward and backward of all networks, measured.
        cache_bytes: at most, before compression.
        workers: processes that read patches.
        oracles: what the methods take from dense labels beside their supervision.
        planes: of annotated slices, where a method learns from these.
        unused: what the dataset holds that is not learned from.
        extra_terms: weight of each loss term beside the methods' own.
    """

    dataset: str
    annotations: str
    recipe: str
    train_cases: int
    val_cases: int
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    patch_shape: Shape3
    networks: Networks
    stages: tuple[PlannedStage, ...]
    device: str
    devices: int
    precision: str
    workers: int
    seconds_per_iteration: float
    cache_bytes: int
    cache: Path
    oracles: tuple[str, ...] = ()
    planes: tuple[Plane, ...] = ()
    unused: tuple[str, ...] = ()
    extra_terms: Mapping[str, float] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names."""
        return self.preprocessing.channel_names

    @property
    def spacing_mm(self) -> Spacing:
        """Of the working grid."""
        return self.preprocessing.spacing_mm

    @property
    def seconds(self) -> float:
        """Estimated time of all stages. A teacher's forward pass is a third of training a network."""
        costs = [1 + METHODS.get(stage.method).teacher_passes / 3 for stage in self.stages]
        steps = sum(cost * stage.iterations for cost, stage in zip(costs, self.stages, strict=True))
        return steps * self.seconds_per_iteration

    def rows(self) -> list[tuple[str, str]]:
        """What and how, for printing."""
        networks = ", ".join(f"{member}: {arguments['architecture']}" for member, arguments in self.networks.items())
        stages = ", then ".join(f"{stage.method} ({stage.iterations} iterations)" for stage in self.stages)
        planes = ", ".join(self.planes) if len(self.planes) > 1 else f"{''.join(self.planes)} alone; two teach more"
        oracles = [("oracle", f"{', '.join(self.oracles)}, from dense labels")] if self.oracles else []
        extra = ", ".join(f"{name} {weight:g}" for name, weight in self.extra_terms.items())
        return [
            ("dataset", self.dataset),
            ("annotations", self.annotations),
            *([("planes", planes)] if self.planes else []),
            *oracles,
            ("recipe", f"{self.recipe}: {stages}"),
            *([("extra terms", extra)] if extra else []),
            ("cases", f"{self.train_cases} to train on, {self.val_cases} to validate on"),
            ("classes", ", ".join(self.classes)),
            *([("not used", "; ".join(self.unused))] if self.unused else []),
            ("channels", ", ".join(self.channels)),
            ("spacing", " × ".join(f"{value:.3g}" for value in self.spacing_mm) + " mm"),
            ("patch", " × ".join(str(value) for value in self.patch_shape) + " voxels"),
            ("networks", networks),
            ("device", f"{self.device} × {self.devices}, {self.precision}"),
            ("time", f"about {duration_text(self.seconds)}"),
            ("cache", f"at most {self.cache_bytes / 1e6:,.0f} MB in {self.cache}"),
        ]


def duration_text(seconds: float) -> str:
    """Seconds, minutes or hours, as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
