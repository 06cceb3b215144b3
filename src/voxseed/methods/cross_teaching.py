"""Cross-teaching between one 3D and two 2D networks, from a few annotated slices.

Cai et al. 2023, 3D Medical Image Segmentation with Sparse Annotation via Cross-Teaching between 3D and 2D Networks.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.data.planes import PLANES
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.losses.ramp import gaussian_ramp
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.lessons import (
    Opinion,
    agreement,
    lesson,
    most_confident,
    opinion_of,
    where_agreed,
    where_confident,
)
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind
from voxseed.types import IGNORE

_VOLUME: Final = "primary"
"""The 3D network."""


class CrossTeachingSettings(Settings):
    """Which network teaches which, and what it may teach."""

    teach_slices: bool = Field(True, description="The 3D network teaches the 2D networks.")
    teach_volume: bool = Field(True, description="The 2D networks teach the 3D network.")
    teach_each_other: bool = Field(
        False, description="The 2D networks teach each other where the 3D network teaches nothing."
    )
    threshold: float = Field(0.9, ge=0, le=1, description="Probability above which a label is taught.")
    hard_soft: bool = Field(
        True, description="The 3D network teaches above soft_threshold in patches that pass the quality gate."
    )
    soft_threshold: float = Field(0.7, ge=0, le=1, description="Used where the quality gate is passed.")
    quality: Literal["accuracy", "dice"] = Field(
        "accuracy", description="Of the 3D network on the patch's annotated voxels; dice: of the foreground classes."
    )
    quality_bar: float = Field(0.98, ge=0, le=1, description="The gate is passed above it; lower for dice.")
    fusion: bool = Field(
        True,
        description="Two 2D networks teach what they agree on; false, or with one: the surer one, above threshold.",
    )
    pseudo_weight: float = Field(0.1, ge=0, le=1, description="Of pseudo-labelled voxels in the end; annotated have 1.")
    ramp_fraction: float = Field(1.0, ge=0, le=1, description="Share of the stage in which that weight grows.")


@register_method("cross-teaching")
class CrossTeaching(Method):
    """Half weighted cross-entropy and half weighted Dice per network, on its own lesson.

    A lesson is the annotation, and where there is none, what the other networks teach with a small weight that grows.
    A 2D network is named after the plane whose slices it reads, and there is one for every annotated plane.
    """

    needs = SupervisionKind.SLICES
    members = (_VOLUME, *reversed(PLANES))
    summary = "A few annotated slices: one 3D network and a 2D network per annotated plane teach each other."
    Settings = CrossTeachingSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = PartialSupervisionLoss()

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term per network."""
        logits = {name: network(batch.image) for name, network in self.networks.items()}
        labels = self.pseudo_labels({name: opinion_of(each) for name, each in logits.items()}, batch)
        weight = self.settings.pseudo_weight * gaussian_ramp(progress.fraction, self.settings.ramp_fraction)
        terms: Terms = {}
        for name, label in labels.items():
            taught = lesson(label, weight, batch)
            loss = self._loss(logits[name], taught.label, batch.absent, taught.weights)
            terms[name] = {"cross_teaching": loss}
        return terms

    def pseudo_labels(self, opinions: Mapping[str, Opinion], batch: Batch) -> dict[str, Tensor]:
        """What each network is taught by the others, (B, 1, I, J, K); IGNORE where nothing."""
        slicewise = {name: each for name, each in opinions.items() if name != _VOLUME}
        nothing = torch.full_like(batch.target, IGNORE)
        settings = self.settings
        from_volume = self._from_volume(opinions[_VOLUME], batch) if settings.teach_slices else nothing
        labels = dict.fromkeys(slicewise, from_volume)
        if settings.teach_each_other and len(slicewise) == 2:
            first, second = slicewise
            for learner, teacher in ((first, second), (second, first)):
                from_other = where_confident(slicewise[teacher], settings.threshold)
                labels[learner] = torch.where(from_volume == IGNORE, from_other, from_volume)
        labels[_VOLUME] = self._from_slices(slicewise, opinions[_VOLUME]) if settings.teach_volume else nothing
        return labels

    def _from_volume(self, opinion: Opinion, batch: Batch) -> Tensor:
        """Hard-soft threshold."""
        settings = self.settings
        if not settings.hard_soft:
            return where_confident(opinion, settings.threshold)
        is_good = agreement(opinion.label, batch.target, settings.quality) > settings.quality_bar
        return where_confident(opinion, torch.where(is_good, settings.soft_threshold, settings.threshold))

    def _from_slices(self, opinions: Mapping[str, Opinion], learner: Opinion) -> Tensor:
        """Consistent label fusion of two 2D networks; a threshold without it, or with one."""
        if self.settings.fusion and len(opinions) == 2:
            first, second = opinions.values()
            return where_agreed(first, second, learner)
        return where_confident(most_confident(list(opinions.values())), self.settings.threshold)
