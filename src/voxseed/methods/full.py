"""Full supervision: every voxel of every training case is labelled. The upper bound of every table."""

from voxseed.methods.base import register_method
from voxseed.methods.partial import Partial
from voxseed.supervision.kinds import SupervisionKind


@register_method("full")
class Full(Partial):
    """The same loss as `partial`, on dense labels: the rows of a table differ in supervision alone."""

    needs = SupervisionKind.DENSE
    summary = "Cross-entropy and Dice on dense labels: the upper bound."
