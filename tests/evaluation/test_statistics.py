"""Means, intervals and counts."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.statistics import (
    MEAN_OVER_CLASSES,
    Estimate,
    bootstrap_interval,
    estimate,
    mean_over_classes,
    summarise,
)

Row = Callable[..., CaseMetrics]
LOST = {"dice": 0.0, "assd_mm": None, "hd95_mm": None, "nsd": 0.0}


def test_mean_and_spread_of_four_values() -> None:
    ours = estimate([0.7, 0.8, 0.9, 1.0])
    assert (ours.cases, ours.mean, ours.sd) == (4, pytest.approx(0.85), pytest.approx(np.sqrt(0.05 / 3)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], Estimate(0)), ([None, None], Estimate(0)), ([None, 2.0], Estimate(1, mean=2.0))],
)
def test_too_few_values(values: list[float | None], expected: Estimate) -> None:
    assert estimate(values) == expected


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).beta(8, 2, size=25)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=5).confidence_interval
    assert bootstrap_interval(values) == pytest.approx((theirs.low, theirs.high), abs=2e-3)


def test_interval_of_two_values_by_hand() -> None:
    # Of two values the mean is either one with probability 1/4 each, beyond both tails of 2.5 %.
    assert bootstrap_interval(np.array([1.0, 3.0])) == (1.0, 3.0)


def test_interval_depends_on_the_seed_alone() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_interval_of_many_cases_is_drawn_in_pieces() -> None:
    values = np.random.default_rng(0).random(5000)
    low, high = bootstrap_interval(values, resamples=1000)
    error = 1.96 * values.std() / np.sqrt(5000)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.1 * error)


def test_a_missed_object_counts_as_dice_0_and_is_counted(row: Row) -> None:
    rows = [row("a", dice=0.8, assd_mm=1.0), row("b", dice=0.6, assd_mm=3.0), row("c", missed=True, **LOST)]
    (summary,) = summarise(rows)
    assert (summary.class_name, summary.cases, summary.missed, summary.false_alarms) == ("tumour", 3, 1, 0)
    assert summary.estimates["dice"].mean == pytest.approx(1.4 / 3)
    assert (summary.estimates["assd_mm"].mean, summary.estimates["assd_mm"].cases) == (2.0, 2)


def test_a_false_alarm_is_counted(row: Row) -> None:
    (summary,) = summarise([row("a"), row("b", false_alarm=True, **LOST)])
    assert (summary.missed, summary.false_alarms, summary.estimates["dice"].mean) == (0, 1, 0.5)


def test_mean_over_classes_is_of_each_case(row: Row) -> None:
    rows = [
        row("a", "tumour", dice=0.8, assd_mm=1.0),
        row("a", "cyst", dice=0.6, assd_mm=2.0),
        row("b", "tumour", dice=0.4, assd_mm=4.0),
        row("b", "cyst", missed=True, **LOST),
        row("c", "tumour", dice=1.0, assd_mm=0.5),
        row("c", "cyst", dice=1.0, assd_mm=None, hd95_mm=None),  # absent, and nothing found: undefined
    ]
    assert mean_over_classes(rows, "dice") == pytest.approx({"a": 0.7, "b": 0.2, "c": 1.0})
    assert mean_over_classes(rows, "assd_mm") == {"a": 1.5, "b": None, "c": 0.5}

    tumour, cyst, mean = summarise(rows)
    assert (tumour.class_name, cyst.class_name, mean.class_name) == ("tumour", "cyst", MEAN_OVER_CLASSES)
    assert (mean.cases, mean.missed, mean.estimates["dice"].mean) == (3, 1, pytest.approx(1.9 / 3))
    assert (mean.estimates["assd_mm"].cases, mean.estimates["assd_mm"].mean) == (2, 1.0)


def test_one_class_has_no_mean_over_classes(row: Row) -> None:
    assert [summary.class_name for summary in summarise([row("a"), row("b")])] == ["tumour"]
