"""Phantoms: made-up cases with a known label, for the demo and for tests. NumPy and SciPy only."""

from voxseed.data.phantoms.collection import KINDS, make_case, make_dataset

__all__ = ["KINDS", "make_case", "make_dataset"]
