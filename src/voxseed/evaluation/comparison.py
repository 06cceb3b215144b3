"""Two methods on the same cases: paired differences and their significance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.statistics import (
    MEAN_OVER_CLASSES,
    METRICS,
    Estimate,
    by_class,
    estimate,
    mean_over_classes,
)
from voxseed.types import FloatArray

_ROUNDING = 1e-9
"""Differences that vary by less than this share of their size are equal but for rounding."""


@dataclass(frozen=True)
class Comparison:
    """One metric of one class, this method minus the other.

    Attributes:
        difference: mean of the paired differences, over the cases in which both have the metric.
        t_test_p: two-sided paired t-test; None over fewer than two cases, or if all differ by the same.
        wilcoxon_p: two-sided Wilcoxon signed-rank test; None over fewer than two cases.
    """

    class_name: str
    metric: str
    difference: Estimate
    t_test_p: float | None
    wilcoxon_p: float | None


def compare_rows(rows: Sequence[CaseMetrics], others: Sequence[CaseMetrics], seed: int = 0) -> list[Comparison]:
    """Paired comparison of every metric and class, and with several classes of the mean over classes per case.

    Raises:
        InputError: if the two were not evaluated on the same cases and classes.
    """
    require_same_cases(_keys(rows), _keys(others))
    classes, other_classes = by_class(rows), by_class(others)
    comparisons = [
        compare_values(name, metric, _values(classes[name], metric), _values(other_classes[name], metric), seed)
        for name in classes
        for metric in METRICS
    ]
    if len(classes) > 1:
        comparisons += [
            compare_values(
                MEAN_OVER_CLASSES, metric, mean_over_classes(rows, metric), mean_over_classes(others, metric), seed
            )
            for metric in METRICS
        ]
    return comparisons


def require_same_cases(
    found: set[tuple[str, str]], other: set[tuple[str, str]], origin: str = "the other file"
) -> None:
    """Check that two evaluations are of the same (case, class) pairs.

    Args:
        found: of this evaluation.
        other: of the one it is compared with.
        origin: where `other` is from, for messages.

    Raises:
        InputError: if they differ; names the first that only one has.
    """
    for extra, owner in ((found - other, "these predictions"), (other - found, str(origin))):
        if extra:
            case, class_name = min(extra)
            raise InputError(
                f"{origin}: a paired comparison needs the same cases and classes; {len(extra)} are only in {owner}, "
                f"the first is case {case!r}, class {class_name!r}. Evaluate both on the same labels."
            )


def compare_values(
    class_name: str,
    metric: str,
    values: Mapping[str, float | None],
    others: Mapping[str, float | None],
    seed: int = 0,
) -> Comparison:
    """Paired comparison of the values of the same cases; None where a case has none."""
    pairs = [(value, others[case]) for case, value in values.items()]
    differences = np.array([value - other for value, other in pairs if value is not None and other is not None])
    return tested(class_name, metric, differences, estimate(differences, seed))


def tested(class_name: str, metric: str, differences: FloatArray, difference: Estimate) -> Comparison:
    """The comparison of paired differences (N,), one per case, and the estimate of their mean."""
    return Comparison(class_name, metric, difference, *_p_values(differences))


def _p_values(differences: FloatArray) -> tuple[float | None, float | None]:
    """Paired t-test and Wilcoxon; 1 where nothing differs, for which the tests themselves have no answer."""
    from scipy import stats

    if differences.size < 2:
        return None, None
    if not differences.any():
        return 1.0, 1.0
    wilcoxon_p = float(stats.wilcoxon(differences).pvalue)
    if np.ptp(differences) <= _ROUNDING * np.abs(differences).max():
        return None, wilcoxon_p
    return float(stats.ttest_1samp(differences, 0).pvalue), wilcoxon_p


def _values(rows: Sequence[CaseMetrics], metric: str) -> dict[str, float | None]:
    return {row.case: getattr(row, metric) for row in rows}


def _keys(rows: Sequence[CaseMetrics]) -> set[tuple[str, str]]:
    return {(row.case, row.class_name) for row in rows}
