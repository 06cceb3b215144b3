"""Deep tightness prior: boxes alone, by what a tight box says about the object in it."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.allowed_classes import AllowedClassesLoss
from voxseed.losses.partial_cross_entropy import PartialCrossEntropyLoss
from voxseed.losses.size_barrier import SizeBarrierLoss
from voxseed.losses.tightness import TightnessLoss
from voxseed.methods.base import Batch, Method, Progress, Terms, register_method
from voxseed.methods.box_classes import classes_in_boxes
from voxseed.methods.object_volume import VolumeSettings
from voxseed.settings import Settings
from voxseed.supervision.kinds import SupervisionKind

_FIRST_T, _BASE = 5.0, 1.1


class DTPSettings(Settings):
    """Deep tightness prior."""

    tightness_weight: float = Field(1e-4, ge=0, description="Of the barriers of all bands.")
    size_weight: float = Field(1e-2, ge=0, description="Of the barriers of the volume.")
    band_width_voxels: int = Field(10, ge=1, description="Lines of a band that together meet the object.")
    margin_voxels: int = Field(
        2, ge=0, description="The boxes are so much larger than the objects on each side, on the working grid."
    )
    hardening: float = Field(100.0, ge=0, description="The barriers' t grows from 5 to 5 * 1.1^hardening.")
    volume: VolumeSettings = VolumeSettings()


@register_method("dtp")
class DeepTightnessPrior(Method):
    """Cross-entropy to background outside the boxes, tightness and size inside (Kervadec et al. 2020).

    Of several classes with boxes, only those whose boxes hold a voxel are allowed there, which is ours.
    """

    needs = SupervisionKind.BOXES
    needs_boxes = True
    summary = "Boxes alone: background outside, inside what a tight box says about its object."
    Settings = DTPSettings

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._emptiness, self._allowed = PartialCrossEntropyLoss(), AllowedClassesLoss()
        self._tightness = TightnessLoss(settings.band_width_voxels, settings.margin_voxels)
        self._size = SizeBarrierLoss()

    @classmethod
    def oracle(cls, settings: DTPSettings) -> tuple[str, ...]:
        """The true volume, if it is asked for."""
        return settings.volume.oracle

    def losses(self, batch: Batch, progress: Progress) -> Terms:
        """Three terms per network, and one more of several classes; one of weight 0 is left out."""
        settings = self.settings
        t = _FIRST_T * _BASE ** (settings.hardening * progress.fraction)
        objects = settings.volume.known_objects(batch, settings.margin_voxels)
        terms: Terms = {}
        for name, network in self.networks.items():
            logits = network(batch.image)
            probabilities = logits.float().softmax(dim=1)
            terms[name] = {"emptiness": self._emptiness(logits, batch.target)}
            if logits.shape[1] > 2:
                terms[name]["other_classes"] = self._allowed(logits, _allowed(batch, logits.shape[1]))
            if settings.tightness_weight > 0:
                tightness = self._tightness(probabilities, objects, t)
                terms[name]["tightness"] = settings.tightness_weight * tightness
            if settings.size_weight > 0:
                terms[name]["size"] = settings.size_weight * self._size(probabilities, objects, t)
        return terms


def _allowed(batch: Batch, class_count: int) -> Tensor:
    """(B, C, I, J, K) bool: in boxes the classes of these boxes; elsewhere, and where the class is known, all.

    A class without a box in the patch is allowed everywhere: nobody may have said anything about it in this case.
    """
    allowed = classes_in_boxes(batch, class_count)
    open_in_boxes = allowed[:, 1:].any(dim=1, keepdim=True) & batch.valid & ~batch.annotated
    without_box = ~allowed.flatten(start_dim=2).any(dim=2)
    return allowed | ~open_in_boxes | without_box[..., None, None, None]
