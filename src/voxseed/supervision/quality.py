"""How good supervision is, where dense labels exist."""

from dataclasses import dataclass

import numpy as np

from voxseed.errors import ShapeError
from voxseed.supervision.kinds import Supervision
from voxseed.types import IGNORE, LabelArray


@dataclass(frozen=True)
class ClassQuality:
    """Supervision of one class, background included, compared with a dense label.

    Attributes:
        class_index: 0..C-1.
        precision: share of the voxels labelled as the class that are of it; NaN if none is labelled so.
        recall: share of the voxels of the class that are labelled as it; NaN if there is none.
        labelled_voxels: labelled as the class.
        true_voxels: of the class in the dense label.
    """

    class_index: int
    precision: float
    recall: float
    labelled_voxels: int
    true_voxels: int

    @property
    def dice(self) -> float:
        """Of what is labelled as the class; unlabelled voxels count as not of it. NaN if there is neither."""
        right = self.precision * self.labelled_voxels if self.labelled_voxels else 0.0
        return _share(2 * right, self.labelled_voxels + self.true_voxels)


def precision_and_recall(supervision: Supervision, dense: LabelArray, class_count: int) -> tuple[ClassQuality, ...]:
    """Quality of each class, background first.

    Args:
        supervision: on the same grid.
        dense: (I, J, K) class indices; IGNORE counts for nothing.
        class_count: C.

    Raises:
        ShapeError: if the grids differ.
    """
    target = supervision.target
    if target.shape != dense.shape:
        raise ShapeError(f"Expected a dense label of shape {target.shape}, found {dense.shape}.")
    known = dense != IGNORE
    rows = []
    for index in range(class_count):
        labelled, true = (target == index) & known, dense == index
        right = int((labelled & true).sum())
        counts = int(labelled.sum()), int(true.sum())
        rows.append(ClassQuality(index, _share(right, counts[0]), _share(right, counts[1]), *counts))
    return tuple(rows)


def annotated_share(supervision: Supervision) -> float:
    """Share of the voxels that are labelled at all."""
    return float(np.mean(supervision.target != IGNORE))


def _share(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")
