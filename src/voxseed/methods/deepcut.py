"""DeepCut: boxes alone; the box is the first segmentation, and a CRF cuts it to the object between rounds."""

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.crf_window import View, Window
from voxseed.losses.mean_field import mean_field
from voxseed.losses.partial import PartialSupervisionLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.box_classes import classes_in_boxes
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind


class MeanFieldSettings(Settings):
    """The CRF of stage one, as inference."""

    radius_voxels: tuple[int, int, int] = Field((5, 5, 5), description="Of the window.")
    sigma_r_voxels: float = Field(6.0, gt=0, description="Of the distance between two voxels.")
    sigma_x: float = Field(0.3, gt=0, description="Of the intensity difference.")
    views: tuple[View, ...] = Field(("axial", "coronal", "sagittal"), description="Slices in which windows lie.")
    pair_weight: float = Field(1.0, ge=0, description="Alpha: of a pair of voxels beside one voxel's own probability.")
    iterations: int = Field(5, ge=0, description="Of mean-field inference.")


class DeepCutSettings(Settings):
    """Rounds of training and inference."""

    rounds: int = Field(5, ge=1, description="Parts of the stage; the targets are made anew between them.")
    crf: MeanFieldSettings = MeanFieldSettings()


@register_method("deepcut")
class DeepCut(Method):
    """CE and Dice on a segmentation that begins as the box (Rajchl et al. 2017).

    Between two rounds the network's prediction, after mean-field inference within the boxes, becomes the target.
    """

    needs = SupervisionKind.BOXES
    needs_boxes = True
    summary = "Boxes alone: the box is the first segmentation, cut to the object by a CRF between rounds."
    Settings = DeepCutSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._loss = PartialSupervisionLoss()

    @classmethod
    def rounds(cls, settings: DeepCutSettings) -> int:
        """As the setting says."""
        return settings.rounds

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """One term per network."""
        target = boxes_filled(batch)
        return {
            name: {"segmentation": self._loss(network(batch.image), target, batch.absent)}
            for name, network in self.networks.items()
        }

    def relabel(self, case: Batch, probabilities: Tensor) -> Tensor:
        """Most probable class after mean-field inference, in the boxes; what is annotated or outside stays as it is."""
        crf = self.settings.crf
        allowed = classes_in_boxes(case, probabilities.shape[1])
        marginals = mean_field(
            probabilities,
            allowed,
            case.image,
            case.valid,
            crf.sigma_x,
            Window(crf.radius_voxels, crf.sigma_r_voxels, crf.views),
            crf.pair_weight,
            crf.iterations,
        )
        in_box = allowed[:, 1:].any(dim=1, keepdim=True)
        return torch.where(case.annotated | ~in_box, case.target, marginals.argmax(dim=1, keepdim=True))


def boxes_filled(batch: Batch) -> Tensor:
    """The target (B, 1, I, J, K), where what nobody knows inside a box is the box's object.

    Where boxes meet, the smaller one's; invalid voxels stay as they are.
    """
    target = batch.target.clone()
    open_voxels = ~batch.annotated & batch.valid
    for sample, objects in enumerate(batch.objects):
        for item in sorted(objects, key=lambda item: -math.prod(item.box_shape)):
            inside = (sample, 0, *item.slices)
            target[inside] = torch.where(open_voxels[inside], item.class_index, target[inside])
    return target
