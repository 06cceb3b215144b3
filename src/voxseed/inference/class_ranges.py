"""What the training cases say about the size and place of each class, without dense labels."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from voxseed.metrics.overlap import MM3_PER_ML
from voxseed.settings import Settings
from voxseed.types import IGNORE, BoolArray, LabelArray

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_LEAST_PART = 0.05
"""Parts that hold a smaller share of a class's voxels are not counted."""


class ClassRange(Settings):
    """One class in the training cases, as far as their supervision says.

    Attributes:
        lowest_ml: smallest volume that is known to be of the class in a case where it is annotated.
        highest_ml: largest volume that may be of the class in such a case: what is known, and what nobody annotated.
        most_parts: largest number of separate parts in a case.
        touches_border: whether it reached the border of the volume in a case.
        is_absent_somewhere: whether a case is known to be without it.
    """

    lowest_ml: float
    highest_ml: float
    most_parts: int
    touches_border: bool
    is_absent_somewhere: bool


def class_ranges(
    cases: Iterable[tuple[LabelArray, frozenset[int]]], class_names: Sequence[str], voxel_mm3: float
) -> dict[str, ClassRange]:
    """The ranges of all classes over the training cases.

    Args:
        cases: of each, the target (I, J, K) of class indices and IGNORE, and the classes that it is known to be
            without.
        class_names: foreground, in the order of their indices.
        voxel_mm3: volume of a voxel.

    Returns:
        By class name, without classes of which no case has a voxel.
    """
    seen: dict[str, list[ClassRange]] = {name: [] for name in class_names}
    without: set[str] = set()
    for target, absent in cases:
        unknown = int((target == IGNORE).sum())
        for index, name in enumerate(class_names, start=1):
            mask = target == index
            known = int(mask.sum())
            if known:
                seen[name].append(_of_case(mask, known, unknown, voxel_mm3))
            elif index in absent:
                without.add(name)
    return {name: _together(ranges, name in without) for name, ranges in seen.items() if ranges}


def _of_case(mask: BoolArray, known: int, unknown: int, voxel_mm3: float) -> ClassRange:
    return ClassRange(
        lowest_ml=known * voxel_mm3 / MM3_PER_ML,
        highest_ml=(known + unknown) * voxel_mm3 / MM3_PER_ML,
        most_parts=count_parts(mask),
        touches_border=touches_border(mask),
        is_absent_somewhere=False,
    )


def _together(ranges: Sequence[ClassRange], is_absent_somewhere: bool) -> ClassRange:
    return ClassRange(
        lowest_ml=min(each.lowest_ml for each in ranges),
        highest_ml=max(each.highest_ml for each in ranges),
        most_parts=max(each.most_parts for each in ranges),
        touches_border=any(each.touches_border for each in ranges),
        is_absent_somewhere=is_absent_somewhere,
    )


def count_parts(mask: BoolArray) -> int:
    """Connected parts (26 neighbours) with at least 5 % of the mask's voxels."""
    labelled, _ = ndimage.label(mask, structure=_NEIGHBOURS)
    sizes = np.bincount(labelled.ravel())[1:]
    return int((sizes >= _LEAST_PART * sizes.sum()).sum())


def touches_border(mask: BoolArray) -> bool:
    """Whether any voxel lies on one of the six faces of the volume."""
    return any(bool(mask.take([0, -1], axis).any()) for axis in range(3))
