"""What a method takes an object's volume to be: a share of its box, or, as an oracle, the truth."""

import math
from dataclasses import replace
from typing import Literal

from pydantic import Field

from voxseed.methods.base import TRUE_VOLUME, Batch
from voxseed.settings import Settings
from voxseed.supervision.kinds import ObjectInPatch


class VolumeSettings(Settings):
    """Volume V* of an object."""

    source: Literal["box", "label"] = Field(
        "box",
        description="box: box_share of its box; label: from its dense label, an oracle that the run names.",
    )
    box_share: float = Field(
        math.pi / 6, gt=0, le=1, description="Of the box without its margin; an ellipsoid has 0.52 of a tight box."
    )

    @property
    def oracle(self) -> tuple[str, ...]:
        """What is taken from dense labels."""
        return (TRUE_VOLUME,) if self.source == "label" else ()

    def known_objects(self, batch: Batch, margin_voxels: int) -> tuple[tuple[ObjectInPatch, ...], ...]:
        """The objects of a batch, with V* as their volume.

        Args:
            margin_voxels: boxes are so much larger than their objects on each side.
        """
        if self.source == "label":
            return batch.objects
        return tuple(tuple(self._estimated(item, margin_voxels) for item in objects) for objects in batch.objects)

    def _estimated(self, item: ObjectInPatch, margin_voxels: int) -> ObjectInPatch:
        # Along an axis with few voxels, such as thick slices, a margin would leave next to nothing of the object.
        tight = math.prod(max(size - 2 * margin_voxels, size / 2) for size in item.box_shape)
        return replace(item, true_voxels=self.box_share * tight)
