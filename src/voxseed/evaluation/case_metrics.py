"""One row of metrics.csv: a case and a class."""

from dataclasses import dataclass

from voxseed.metrics.pair import PairMetrics


@dataclass(frozen=True, kw_only=True)
class CaseMetrics(PairMetrics):
    """How the prediction of one class compares with the label in one case; see `PairMetrics` for the numbers."""

    case: str
    class_name: str
