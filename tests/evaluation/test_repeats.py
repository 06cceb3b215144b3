"""Means, intervals and comparisons over cases and seeds, against numbers by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.repeats import (
    Repeats,
    bootstrap_over_repeats,
    case_means,
    class_names,
    compare_repeats,
    estimate_over_repeats,
    summarise_repeats,
)
from voxseed.evaluation.statistics import MEAN_OVER_CLASSES, METRICS, summarise

Row = Callable[..., CaseMetrics]


def seeds(*repeats: list[CaseMetrics]) -> Repeats:
    return dict(enumerate(repeats))


def test_a_case_counts_once_whatever_the_number_of_seeds(row: Row) -> None:
    repeats = seeds(
        [row("a", dice=0.2), row("b", dice=0.8)],
        [row("a", dice=0.4), row("b", dice=0.8)],
        [row("a", dice=0.6), row("b", dice=0.5)],
    )
    (summary,) = summarise_repeats(repeats, ("dice",))
    dice = summary.estimates["dice"]
    assert (summary.cases, dice.cases) == (2, 2)
    assert dice.mean == pytest.approx(0.55)  # of 0.4 and 0.7
    assert dice.sd == pytest.approx(0.3 / np.sqrt(2))  # over cases, not over the six numbers


def test_one_seed_is_as_without_seeds(row: Row) -> None:
    rows = [row(f"{n}", name, dice=n / 9, assd_mm=n / 2) for n in range(9) for name in ("tumour", "cyst")]
    rows[3] = row("1", "cyst", dice=0.0, assd_mm=None, hd95_mm=None, missed=True)
    for found, expected in zip(summarise_repeats(seeds(rows), METRICS), summarise(rows), strict=True):
        assert (found.class_name, found.missed, found.cases) == (
            expected.class_name,
            expected.missed,
            expected.cases,
        )
        for metric in METRICS:
            assert vars(found.estimates[metric]) == pytest.approx(vars(expected.estimates[metric]))


def test_what_is_missed_with_one_seed_has_no_distance_and_is_counted(row: Row) -> None:
    missed = row("a", dice=0.0, assd_mm=None, hd95_mm=None, missed=True)
    repeats = seeds([row("a", assd_mm=1.0), row("b", assd_mm=3.0)], [missed, row("b", assd_mm=5.0)])
    (summary,) = summarise_repeats(repeats, ("dice", "assd_mm"))
    assert summary.missed == 1
    assert summary.estimates["dice"].mean == pytest.approx(0.75)  # of 0.5 and 1
    assert (summary.estimates["assd_mm"].cases, summary.estimates["assd_mm"].mean) == (1, pytest.approx(4.0))


def test_no_case_has_a_distance(row: Row) -> None:
    missed = row("a", dice=0.0, assd_mm=None, hd95_mm=None, missed=True)
    (summary,) = summarise_repeats(seeds([missed], [missed]), ("assd_mm",))
    assert (summary.missed, summary.estimates["assd_mm"].mean) == (2, None)


def test_mean_over_classes_is_within_each_seed(row: Row) -> None:
    repeats = seeds(
        [row("a", "x", dice=0.2), row("a", "y", dice=0.4)],
        [row("a", "x", dice=0.6), row("a", "y", dice=1.0)],
    )
    assert class_names(repeats[0]) == ("x", "y", MEAN_OVER_CLASSES)
    means = [summary.estimates["dice"].mean for summary in summarise_repeats(repeats, ("dice",))]
    assert means == pytest.approx([0.4, 0.7, 0.55])
    assert case_means(repeats, MEAN_OVER_CLASSES, "dice") == {"a": pytest.approx(0.55)}


def test_interval_of_two_seeds_that_differ_is_wider_than_of_cases_alone() -> None:
    values = np.array([[0.5] * 10, [0.7] * 10])
    low, high = bootstrap_over_repeats(values)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.7))  # each seed alone is drawn a quarter of the times
    assert bootstrap_over_repeats(values.mean(axis=0, keepdims=True)) == pytest.approx((0.6, 0.6))


def test_interval_of_few_values_against_all_draws() -> None:
    """Two seeds and two cases: 16 equally likely draws, of which the means are 0, 1/4, 1/2 and 1."""
    values = np.array([[0.0, 0.0], [0.0, 1.0]])
    estimate = estimate_over_repeats(values)
    assert (estimate.mean, estimate.low, estimate.high) == (pytest.approx(0.25), 0.0, 1.0)  # 1 in 1 of 16 draws
    assert bootstrap_over_repeats(np.array([[0.25]])) == (0.25, 0.25)


def test_pairs_are_the_means_of_cases_over_seeds(row: Row) -> None:
    ours = seeds(
        [row("a", dice=0.5), row("b", dice=0.6), row("c", dice=1.0)],
        [row("a", dice=0.7), row("b", dice=0.8), row("c", dice=0.8)],
    )
    theirs = seeds(
        [row("a", dice=0.4), row("b", dice=0.7), row("c", dice=0.6)],
        [row("a", dice=0.6), row("b", dice=0.5), row("c", dice=0.6)],
    )
    (comparison,) = compare_repeats(ours, theirs, "dice")
    # Differences 0.1, 0.1, 0.3: mean 1/6, sd 0.11547, t = 2.5 with 2 degrees of freedom.
    assert comparison.difference.mean == pytest.approx(1 / 6)
    assert comparison.t_test_p == pytest.approx(0.1296, abs=1e-4)
    assert comparison.wilcoxon_p == pytest.approx(0.25)  # all three in one direction: 2 / 2^3


def test_the_interval_of_a_difference_is_of_cases_and_seeds(row: Row) -> None:
    """All cases gain 0.1 with seed 0 and lose 0.1 with seed 1: over cases alone nothing varies."""
    cases = [f"{n}" for n in range(10)]
    theirs = seeds(*[[row(case, dice=0.5) for case in cases]] * 2)
    ours = seeds([row(case, dice=0.6) for case in cases], [row(case, dice=0.4) for case in cases])
    (comparison,) = compare_repeats(ours, theirs, "dice")
    difference = comparison.difference
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0, -0.1, 0.1))


def test_a_case_that_one_of_two_rows_lacks_is_not_compared(row: Row) -> None:
    missed = row("a", dice=0.0, assd_mm=None, hd95_mm=None, missed=True)
    ours = seeds([row("a", assd_mm=1.0), row("b", assd_mm=3.0)], [row("a", assd_mm=1.0), row("b", assd_mm=4.0)])
    theirs = seeds([row("a", assd_mm=9.0), row("b", assd_mm=2.0)], [missed, row("b", assd_mm=1.0)])
    (comparison,) = compare_repeats(ours, theirs, "assd_mm")
    assert (comparison.difference.cases, comparison.difference.mean) == (1, pytest.approx(2.0))  # of 1 and 3


def test_rows_are_compared_on_the_seeds_that_both_have(row: Row) -> None:
    """Seed 1 is a good one: a row that was not trained with it is not worse for that."""
    ours = {0: [row("a", dice=0.5), row("b", dice=0.6)]}
    theirs = {0: [row("a", dice=0.4), row("b", dice=0.5)], 1: [row("a", dice=0.9), row("b", dice=0.9)]}
    for pair, expected in (((ours, theirs), 0.1), ((theirs, ours), -0.1)):
        (comparison,) = compare_repeats(*pair, "dice")
        assert comparison.difference.mean == pytest.approx(expected)
    assert compare_repeats(ours, {1: theirs[1]}, "dice") == []


def test_seeds_and_baselines_must_have_the_same_cases(row: Row) -> None:
    with pytest.raises(InputError, match="another seed"):
        summarise_repeats(seeds([row("a")], [row("b")]), ("dice",))
    with pytest.raises(InputError, match="the baseline"):
        compare_repeats(seeds([row("a")]), seeds([row("b")]), "dice")


@pytest.mark.parametrize(
    ("dice", "jaccard"),
    [
        (2 / 3, 1 / 2),  # two voxels and one of the two
        (2 / 5, 1 / 4),  # one voxel of four
        (0.0, 0.0),
        (1.0, 1.0),
    ],
)
def test_jaccard_follows_from_dice(row: Row, dice: float, jaccard: float) -> None:
    assert row(dice=dice).jaccard == pytest.approx(jaccard)


@pytest.mark.parametrize(
    ("dice", "volume_ml", "reference_ml", "precision", "recall"),
    [
        (0.5, 1.0, 3.0, 1.0, 1 / 3),  # one voxel of three, and nothing else
        (0.4, 4.0, 1.0, 0.25, 1.0),
        (0.0, 0.0, 2.0, None, 0.0),
        (0.0, 2.0, 0.0, 0.0, None),
    ],
)
def test_precision_and_recall_follow_from_dice_and_volumes(
    row: Row, dice: float, volume_ml: float, reference_ml: float, precision: float | None, recall: float | None
) -> None:
    found = row(dice=dice, volume_ml=volume_ml, reference_ml=reference_ml)
    assert found.precision == (None if precision is None else pytest.approx(precision))
    assert found.recall == (None if recall is None else pytest.approx(recall))
