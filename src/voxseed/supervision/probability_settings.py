"""How annotations become probability maps."""

from typing import Annotated, Literal

from pydantic import Field

from voxseed.settings import Settings


class ProbabilitySettings(Settings):
    """Foreground probability at every voxel (PW4MedSeg), for methods that learn from it."""

    sigma_mm: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="delta, of the Gaussian around every scattered point; auto: from the points' own spacing; "
        "10 in the paper's released program",
    )
    sigma_spacings: float = Field(
        0.6, gt=0, description="auto: delta as a multiple of the median distance from a point to its nearest neighbour"
    )
    normalised_per: Literal["object", "volume"] = Field(
        "object",
        description="what has a largest probability of 1: every object, or, as in the released program, every class",
    )
    even_ratio: float = Field(
        0.6, gt=0, lt=1, description="seven points: ratio of the two-sided growth at which the probability is one half"
    )
    box_exponent: float = Field(
        2.0, gt=0, description="boxes: the probability is 1 - r to this power, r from 0 (centre) to 1 (faces)"
    )
