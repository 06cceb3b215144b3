"""What every protocol is: a function from a dense label to the annotation that a person might give."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from voxseed.data.annotations import CaseAnnotation
from voxseed.data.labels import Labels
from voxseed.data.planes import Plane
from voxseed.registry import Registry
from voxseed.settings import Settings
from voxseed.types import FloatArray, LabelArray


class SimulationSettings(Settings):
    """How annotations are simulated."""

    margin_voxels: tuple[int, int] = Field(
        (1, 5), description="least and greatest distance of outside points and box faces from the object, in voxels"
    )
    inside_points: int = Field(1, ge=1, description="points inside each object")
    scattered_points: int = Field(200, ge=1, description="most points inside each object, where they are scattered")
    jitter_voxels: int = Field(
        0, ge=0, description="extreme points lie up to so many voxels too far out or in, as those of a person may"
    )
    every_slices: int = Field(
        12, ge=2, description="distance of annotated slices in the first plane, in slices; twice that in the second"
    )
    slices_per_volume: int | None = Field(
        None, ge=1, description="about so many annotated slices in all, in place of every_slices"
    )
    planes: tuple[Plane, ...] = Field(
        ("axial", "coronal"), min_length=1, max_length=2, description="planes of annotated slices, one or two"
    )
    min_object_voxels: int = Field(
        10, ge=1, description="smaller separate parts of a class are skipped and counted, except for its largest part"
    )

    @model_validator(mode="after")
    def _margin_in_order(self) -> Self:
        low, high = self.margin_voxels
        if not 1 <= low <= high:
            raise ValueError("margin_voxels must be a least and a greatest distance, 1 <= least <= greatest")
        return self

    @field_validator("planes")
    @classmethod
    def _different_planes(cls, planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
        if len(set(planes)) < len(planes):
            raise ValueError(f"expected two different planes, found {planes[0]} twice")
        return planes


@dataclass(frozen=True)
class Simulation:
    """A simulated annotation, and what was left out.

    Attributes:
        annotation: of the case.
        objects: class name → how many objects were annotated.
        skipped: class name → how many parts were left out, because they are small or no slice meets them.
    """

    annotation: CaseAnnotation
    objects: Mapping[str, int]
    skipped: Mapping[str, int]


class AnnotationProtocol(Protocol):
    """Simulates one kind of annotation; the first line of its docstring says what a person gives."""

    def __call__(
        self,
        label: LabelArray,
        affine: FloatArray,
        labels: Labels,
        rng: np.random.Generator,
        settings: SimulationSettings,
    ) -> Simulation:
        """Simulate the annotation of one case.

        Args:
            label: (I, J, K) class indices, possibly with IGNORE.
            affine: (4, 4), to RAS+ mm; may be oblique.
            labels: of the dataset.
            rng: the only source of randomness.
            settings: of the simulation.
        """


PROTOCOLS: Final[Registry[AnnotationProtocol]] = Registry("protocol", "voxseed.data.protocols")


def generator(seed: int, case: str) -> np.random.Generator:
    """Random numbers of one case, which do not depend on what other cases there are or their order."""
    digest = hashlib.sha256(case.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
