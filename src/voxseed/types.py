"""Aliases for shapes and arrays that every floor uses."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape3: TypeAlias = tuple[int, int, int]
"""Voxels along (I, J, K)."""
Spacing: TypeAlias = tuple[float, float, float]
"""Distance in mm between neighbouring voxel centres along (I, J, K)."""
FloatArray: TypeAlias = NDArray[np.floating]
LabelArray: TypeAlias = NDArray[np.integer]
BoolArray: TypeAlias = NDArray[np.bool_]

IGNORE: Final = 255
"""Value of an unannotated voxel in target maps in memory. On disk it is the dataset's highest label value."""
BACKGROUND: Final = 0
