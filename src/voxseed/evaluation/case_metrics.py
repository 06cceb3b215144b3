"""One row of metrics.csv: a case and a class."""

from dataclasses import dataclass

from voxseed.metrics.pair import PairMetrics


@dataclass(frozen=True, kw_only=True)
class CaseMetrics(PairMetrics):
    """How the prediction of one class compares with the label in one case; see `PairMetrics` for the numbers."""

    case: str
    class_name: str

    @property
    def jaccard(self) -> float:
        """Overlap of the two masks over their union, in [0, 1]: Dice / (2 - Dice)."""
        return self.dice / (2 - self.dice)

    @property
    def precision(self) -> float | None:
        """Share of the predicted volume that is the object's; None if nothing is predicted."""
        return self._overlap_ml / self.volume_ml if self.volume_ml else None

    @property
    def recall(self) -> float | None:
        """Share of the object's volume that is predicted; None if there is none."""
        return self._overlap_ml / self.reference_ml if self.reference_ml else None

    @property
    def _overlap_ml(self) -> float:
        """From Dice, 2 · overlap / (both volumes)."""
        return self.dice * (self.volume_ml + self.reference_ml) / 2
