"""Reasons to look at a prediction before it is used, found without a dense label."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from voxseed.inference.class_ranges import ClassRange, count_parts, touches_border
from voxseed.metrics.overlap import MM3_PER_ML
from voxseed.types import LabelArray

LEAST_CONFIDENCE = 0.85
"""Mean probability of a class's voxels below which a prediction is doubted; measured in docs/results/doubts.md."""


@dataclass(frozen=True)
class Doubt:
    """Why one class of a case is to be looked at.

    Attributes:
        class_name: of the model.
        rule: "empty", "border", "parts", "volume" or "confidence".
        reason: what was found and what the training cases had, in a few words.
    """

    class_name: str
    rule: str
    reason: str


def find_doubts(
    labels: LabelArray,
    class_names: tuple[str, ...],
    voxel_mm3: float,
    confidence: tuple[float, ...],
    ranges: Mapping[str, ClassRange],
) -> list[Doubt]:
    """Apply five rules to each class of a prediction; a class without a range in the model has two of them.

    | rule | doubted |
    |---|---|
    | empty | no voxel, and no training case is known to be without the class, or nothing is known of it in them |
    | border | a voxel on a face of the volume, where no training case had one |
    | parts | more parts than any training case had; parts below 5 % of the class are not counted |
    | volume | below the smallest or above the largest that the training cases can have |
    | confidence | mean probability of its voxels below `LEAST_CONFIDENCE` |

    Args:
        labels: (I, J, K) class indices.
        class_names: foreground, in the order of their indices.
        voxel_mm3: volume of a voxel.
        confidence: of each class, as `Prediction` has it.
        ranges: of the training cases, by class name.
    """
    doubts: list[Doubt] = []
    for index, (name, sure) in enumerate(zip(class_names, confidence, strict=True), start=1):
        mask, seen = labels == index, ranges.get(name)
        count = int(np.count_nonzero(mask))
        if count == 0:
            if seen is None:
                doubts.append(Doubt(name, "empty", "no voxel, and nothing is known of it in the training cases"))
            elif not seen.is_absent_somewhere:
                doubts.append(Doubt(name, "empty", "no voxel, and no training case is known to be without it"))
            continue
        if seen is not None:
            reasons = {"border": _border(mask, seen), "parts": _parts(mask, seen)}
            reasons["volume"] = _volume(count * voxel_mm3 / MM3_PER_ML, seen)
            doubts += [Doubt(name, rule, reason) for rule, reason in reasons.items() if reason]
        if not math.isnan(sure) and sure < LEAST_CONFIDENCE:
            doubts.append(Doubt(name, "confidence", f"mean probability {sure:.2f}, below {LEAST_CONFIDENCE:g}"))
    return doubts


def _border(mask: np.ndarray, seen: ClassRange) -> str:
    is_new = touches_border(mask) and not seen.touches_border
    return "reaches the border of the image, as in no training case" if is_new else ""


def _parts(mask: np.ndarray, seen: ClassRange) -> str:
    count = count_parts(mask)
    return f"{count} parts, training cases had at most {seen.most_parts}" if count > seen.most_parts else ""


def _volume(volume_ml: float, seen: ClassRange) -> str:
    if seen.lowest_ml <= volume_ml <= seen.highest_ml:
        return ""
    return f"{volume_ml:.3g} ml, training cases had {seen.lowest_ml:.3g} to {seen.highest_ml:.3g} ml"
