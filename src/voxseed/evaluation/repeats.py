"""Trainings of one row with several seeds, measured on the same cases: means, intervals and comparisons over both."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.comparison import Comparison, require_same_cases, tested
from voxseed.evaluation.statistics import (
    CONFIDENCE,
    MEAN_OVER_CLASSES,
    RESAMPLES,
    ClassSummary,
    Estimate,
    by_class,
    mean_over_classes,
)
from voxseed.types import FloatArray

Repeats = Mapping[int, Sequence[CaseMetrics]]
"""Seed → rows of metrics.csv."""
_DRAWS_AT_ONCE = 2_000_000


def summarise_repeats(repeats: Repeats, metrics: Sequence[str], draws_seed: int = 0) -> list[ClassSummary]:
    """Summary of every class, and with several classes of the mean over classes per case.

    A case's value is its mean over seeds. Mean and standard deviation are over cases; the interval of the mean is from
    drawing cases and seeds. As for classes, a case that has a metric with some seeds only, because its object was
    missed with the others, has none: `cases` of the estimate says over how many cases it was taken.

    Args:
        repeats: at least one seed; all of the same cases and classes.
        metrics: names of attributes of `CaseMetrics`.
        draws_seed: of the bootstrap.

    Returns:
        Missed objects and false alarms are counted over cases and seeds, for the mean over classes over classes too.

    Raises:
        InputError: if the seeds were not measured on the same cases and classes.
    """
    first = _first(repeats)
    for rows in repeats.values():
        require_same_cases(_keys(rows), _keys(first), "another seed")
    return [
        ClassSummary(
            class_name=name,
            cases=len({row.case for row in first}),
            estimates={metric: estimate_over_repeats(_matrix(repeats, name, metric), draws_seed) for metric in metrics},
            missed=sum(row.missed for rows in repeats.values() for row in _of_class(rows, name)),
            false_alarms=sum(row.false_alarm for rows in repeats.values() for row in _of_class(rows, name)),
        )
        for name in class_names(first)
    ]


def compare_repeats(repeats: Repeats, others: Repeats, metric: str, draws_seed: int = 0) -> list[Comparison]:
    """Paired comparison of every class, and with several of the mean over classes.

    Only the seeds that both have are taken, because a seed may be a good or a bad one for all rows. A pair of the tests
    is a case's means over these seeds; the interval of the difference is from drawing cases and seeds.

    Returns:
        Nothing if they have no seed in common.

    Raises:
        InputError: if the two were not measured on the same cases and classes.
    """
    require_same_cases(_keys(_first(repeats)), _keys(_first(others)), "the baseline")
    seeds = [seed for seed in repeats if seed in others]
    if not seeds:
        return []
    ours, theirs = {seed: repeats[seed] for seed in seeds}, {seed: others[seed] for seed in seeds}
    compared = []
    for name in class_names(_first(repeats)):
        differences = _differences(ours, theirs, name, metric)
        difference = estimate_over_repeats(differences, draws_seed)
        compared.append(tested(name, metric, differences.mean(axis=0), difference))
    return compared


def class_names(rows: Sequence[CaseMetrics]) -> tuple[str, ...]:
    """Classes in the order of the rows, and with several the mean over them."""
    names = tuple(by_class(rows))
    return names if len(names) == 1 else (*names, MEAN_OVER_CLASSES)


def case_means(repeats: Repeats, class_name: str, metric: str) -> dict[str, float | None]:
    """Case → mean over seeds; None where a seed has no value."""
    return {case: _mean(values) for case, values in _by_case(repeats, class_name, metric).items()}


def estimate_over_repeats(values: FloatArray, draws_seed: int = 0) -> Estimate:
    """Mean over cases of the means over seeds, with a bootstrap interval over both.

    Args:
        values: (S, N), S seeds and N cases.
        draws_seed: of the bootstrap.
    """
    cases = values.shape[1]
    if cases == 0:
        return Estimate(0)
    means = values.mean(axis=0)
    if cases == 1:
        return Estimate(1, mean=float(means[0]))
    low, high = bootstrap_over_repeats(values, draws_seed)
    return Estimate(cases, float(means.mean()), float(means.std(ddof=1)), low, high)


def bootstrap_over_repeats(values: FloatArray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean: cases and seeds are both drawn with replacement, each on its own.

    With one seed it is the interval over cases alone.

    Args:
        values: (S, N), S seeds and N cases.
        seed: the same seed gives the same interval.
        resamples: how often is drawn.
    """
    seeds, cases = values.shape
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // values.size)
    means = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn_cases = generator.integers(cases, size=(count, cases))
        drawn_seeds = generator.integers(seeds, size=(count, seeds)) if seeds > 1 else np.zeros((count, 1), int)
        means.append(values[drawn_seeds[:, :, None], drawn_cases[:, None, :]].mean(axis=(1, 2)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _matrix(repeats: Repeats, class_name: str, metric: str) -> FloatArray:
    """(S, N), of the cases that have the metric with every seed."""
    cases = [values for values in _by_case(repeats, class_name, metric).values() if None not in values]
    return _columns(cases, repeats)


def _differences(repeats: Repeats, others: Repeats, class_name: str, metric: str) -> FloatArray:
    """(S, N), of the cases that both have with every seed; both have the same seeds in the same order."""
    theirs = _by_case(others, class_name, metric)
    pairs = [(values, theirs[case]) for case, values in _by_case(repeats, class_name, metric).items()]
    pairs = [(values, other) for values, other in pairs if None not in (*values, *other)]
    return _columns([values for values, _ in pairs], repeats) - _columns([other for _, other in pairs], repeats)


def _columns(cases: Sequence[Sequence[float | None]], repeats: Repeats) -> FloatArray:
    """(S, N) of the values of N cases, one per seed."""
    return np.array(cases, dtype=float).reshape(len(cases), len(repeats)).T


def _by_case(repeats: Repeats, class_name: str, metric: str) -> dict[str, list[float | None]]:
    """Case → its values, one per seed."""
    found: dict[str, list[float | None]] = {}
    for rows in repeats.values():
        for case, value in _values(rows, class_name, metric).items():
            found.setdefault(case, []).append(value)
    return found


def _first(repeats: Repeats) -> Sequence[CaseMetrics]:
    return next(iter(repeats.values()))


def _values(rows: Sequence[CaseMetrics], class_name: str, metric: str) -> dict[str, float | None]:
    if class_name == MEAN_OVER_CLASSES:
        return mean_over_classes(rows, metric)
    return {row.case: getattr(row, metric) for row in _of_class(rows, class_name)}


def _of_class(rows: Sequence[CaseMetrics], class_name: str) -> list[CaseMetrics]:
    return [row for row in rows if class_name in (row.class_name, MEAN_OVER_CLASSES)]


def _keys(rows: Sequence[CaseMetrics]) -> set[tuple[str, str]]:
    return {(row.case, row.class_name) for row in rows}


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if len(present) == len(values) else None
