"""What a method takes an object's volume to be: a share of its box, or, as an oracle, the truth."""

from dataclasses import replace
from math import pi
from typing import Literal

from pydantic import Field

from voxseed.methods.base import TRUE_VOLUME, Batch
from voxseed.settings import Settings
from voxseed.supervision.kinds import ObjectInPatch


class VolumeSettings(Settings):
    """Volume V* of an object."""

    source: Literal["box", "true"] = Field(
        "box", description="box: box_share of its box; true: from its dense label, an oracle that the run names."
    )
    box_share: float = Field(pi / 6, gt=0, le=1, description="Of the box; an ellipsoid has 0.52 of a tight one.")

    @property
    def oracle(self) -> tuple[str, ...]:
        """What is taken from dense labels."""
        return (TRUE_VOLUME,) if self.source == "true" else ()

    def known_objects(self, batch: Batch) -> tuple[tuple[ObjectInPatch, ...], ...]:
        """The objects of a batch, with V* as their volume."""
        if self.source == "true":
            return batch.objects
        return tuple(
            tuple(replace(item, true_voxels=self.box_share * item.box_voxels) for item in objects)
            for objects in batch.objects
        )
