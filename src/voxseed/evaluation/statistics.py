"""Means with bootstrap intervals over cases, and what was missed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.types import FloatArray

METRICS: Final = ("dice", "assd_mm", "hd95_mm", "nsd")
"""Names of the metrics that are averaged, attributes of `CaseMetrics`."""
MEAN_OVER_CLASSES: Final = "mean over classes"
RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
_DRAWS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean over cases.

    Attributes:
        cases: how many it was taken over; a case whose distance is undefined or missing is not among them.
        mean: None over no case.
        sd: sample standard deviation (n - 1); None over fewer than two cases.
        low: lower end of the bootstrap interval of the mean; None over fewer than two cases.
        high: its upper end.
    """

    cases: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ClassSummary:
    """All cases of one class, or the means over classes of each case.

    Attributes:
        cases: how many cases were evaluated.
        estimates: metric → mean; dice and nsd are over all cases, distances over those that have them.
        missed: cases (for the mean over classes: cases and classes) whose object was not found.
        false_alarms: likewise, where something was found and there is nothing.
    """

    class_name: str
    cases: int
    estimates: dict[str, Estimate]
    missed: int
    false_alarms: int


def summarise(rows: Sequence[CaseMetrics], seed: int = 0) -> list[ClassSummary]:
    """Summary of every class, in the order of the rows, and with several classes of the mean over classes per case.

    A case's mean distance over classes is missing if one of its objects was missed or is a false alarm: a mean over
    those that happened to be found would look better the more were missed.
    """
    classes = by_class(rows)
    summaries = [_summary(name, class_rows, seed) for name, class_rows in classes.items()]
    if len(classes) > 1:
        summaries.append(_summary_over_classes(rows, seed))
    return summaries


def estimate(values: Iterable[float | None], seed: int = 0) -> Estimate:
    """Mean, spread and bootstrap interval of the values that are there."""
    present = np.array([value for value in values if value is not None], dtype=float)
    if present.size == 0:
        return Estimate(0)
    if present.size == 1:
        return Estimate(1, mean=float(present[0]))
    low, high = bootstrap_interval(present, seed)
    return Estimate(present.size, float(present.mean()), float(present.std(ddof=1)), low, high)


def bootstrap_interval(
    values: FloatArray, seed: int = 0, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over cases.

    Args:
        values: (N,), one per case.
        seed: the same seed gives the same interval.
        resamples: how often N cases are drawn with replacement.
        confidence: share of the resampled means inside the interval.
    """
    generator = np.random.default_rng(seed)
    rows_at_once = max(1, _DRAWS_AT_ONCE // values.size)
    means = [
        values[generator.integers(values.size, size=(min(rows_at_once, resamples - start), values.size))].mean(axis=1)
        for start in range(0, resamples, rows_at_once)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def by_class(rows: Iterable[CaseMetrics]) -> dict[str, list[CaseMetrics]]:
    """Class → its rows, both in the order of the rows."""
    classes: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        classes.setdefault(row.class_name, []).append(row)
    return classes


def mean_over_classes(rows: Iterable[CaseMetrics], metric: str) -> dict[str, float | None]:
    """Case → mean of a metric over the case's classes; None where it is undefined for all, or missing for one."""
    cases: dict[str, list[CaseMetrics]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(row)
    return {case: _class_mean(case_rows, metric) for case, case_rows in cases.items()}


def _class_mean(rows: list[CaseMetrics], metric: str) -> float | None:
    values = [getattr(row, metric) for row in rows]
    present = [value for value in values if value is not None]
    lost = any(value is None and (row.missed or row.false_alarm) for row, value in zip(rows, values, strict=True))
    return float(np.mean(present)) if present and not lost else None


def _summary(name: str, rows: list[CaseMetrics], seed: int) -> ClassSummary:
    estimates = {metric: estimate((getattr(row, metric) for row in rows), seed) for metric in METRICS}
    missed, false_alarms = sum(row.missed for row in rows), sum(row.false_alarm for row in rows)
    return ClassSummary(name, len(rows), estimates, missed, false_alarms)


def _summary_over_classes(rows: Sequence[CaseMetrics], seed: int) -> ClassSummary:
    estimates = {metric: estimate(mean_over_classes(rows, metric).values(), seed) for metric in METRICS}
    missed, false_alarms = sum(row.missed for row in rows), sum(row.false_alarm for row in rows)
    return ClassSummary(MEAN_OVER_CLASSES, len({row.case for row in rows}), estimates, missed, false_alarms)
