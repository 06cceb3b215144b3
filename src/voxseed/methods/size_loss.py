"""Size loss: partial supervision, and objects about as large as they are known to be."""

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from voxseed.losses.size import SizeLoss
from voxseed.methods.base import Batch, register_method
from voxseed.methods.object_volume import VolumeSettings
from voxseed.methods.regularised import Regularised, RegularisedSettings


class SizeLossSettings(RegularisedSettings):
    """Partial supervision with bounds on the volume of every object."""

    weight: float = Field(0.1, ge=0, description="Of the squared excess over the bounds, relative to the volume.")
    margin_voxels: int = Field(
        2, ge=0, description="The boxes are so much larger than the objects on each side, on the working grid."
    )
    volume: VolumeSettings = VolumeSettings()


@register_method("size-loss")
class SizeLossMethod(Regularised):
    """L_psup plus a penalty where an object's volume leaves 0.9 to 1.1 of the known one (Kervadec et al. 2019)."""

    summary = "Partial supervision, and objects of about the size that they are known to have."
    Settings = SizeLossSettings
    needs_boxes = True
    term = "size"

    def __init__(self, networks: nn.ModuleDict, settings: Any) -> None:
        super().__init__(networks, settings)
        self._size = SizeLoss()

    @classmethod
    def oracle(cls, settings: SizeLossSettings) -> tuple[str, ...]:
        """The true volume, if it is asked for."""
        return settings.volume.oracle

    def regulariser(self, logits: Tensor, batch: Batch) -> Tensor:
        """Squared excess over the bounds, relative to the volume."""
        objects = self.settings.volume.known_objects(batch, self.settings.margin_voxels)
        loss: Tensor = self._size(logits.softmax(dim=1), objects)
        return loss
