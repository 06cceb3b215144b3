"""Paired comparison of two methods."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from voxseed.errors import InputError
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.comparison import Comparison, compare_rows

Row = Callable[..., CaseMetrics]


def of(comparisons: list[Comparison], class_name: str, metric: str) -> Comparison:
    (found,) = (each for each in comparisons if (each.class_name, each.metric) == (class_name, metric))
    return found


def test_equals_scipy_whatever_the_order_of_the_rows(row: Row) -> None:
    generator = np.random.default_rng(0)
    ours, theirs = generator.uniform(0.7, 1, 12), generator.uniform(0.6, 1, 12)
    rows = [row(f"case{n}", dice=value) for n, value in enumerate(ours)]
    others = [row(f"case{n}", dice=value) for n, value in enumerate(theirs)][::-1]
    comparison = of(compare_rows(rows, others), "tumour", "dice")
    assert comparison.difference.mean == pytest.approx(np.mean(ours - theirs))
    assert comparison.t_test_p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert comparison.wilcoxon_p == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)


def test_wilcoxon_of_five_improvements_by_hand(row: Row) -> None:
    rows = [row(f"case{n}", dice=0.9) for n in range(5)]
    others = [row(f"case{n}", dice=0.8 - 0.01 * n) for n in range(5)]
    # All five differences have one sign: two of 2^5 sign patterns are as extreme.
    assert of(compare_rows(rows, others), "tumour", "dice").wilcoxon_p == pytest.approx(2 / 32)


def test_a_constant_difference_has_no_t_test(row: Row) -> None:
    rows, others = ([row(case, dice=dice + 0.1 * n) for n, case in enumerate("abc")] for dice in (0.7, 0.6))
    comparison = of(compare_rows(rows, others), "tumour", "dice")
    assert (comparison.t_test_p, comparison.wilcoxon_p) == (None, pytest.approx(2 / 8))


def test_distances_are_compared_where_both_have_them(row: Row) -> None:
    rows = [row("a", assd_mm=1.0), row("b", assd_mm=2.0), row("c", assd_mm=None, missed=True)]
    others = [row("a", assd_mm=2.0), row("b", assd_mm=None, missed=True), row("c", assd_mm=1.0)]
    comparison = of(compare_rows(rows, others), "tumour", "assd_mm")
    assert (comparison.difference.cases, comparison.difference.mean) == (1, -1.0)
    assert (comparison.t_test_p, comparison.wilcoxon_p) == (None, None)


def test_nothing_differs(row: Row) -> None:
    rows = [row("a"), row("b"), row("c")]
    comparison = of(compare_rows(rows, rows), "tumour", "dice")
    assert (comparison.difference.mean, comparison.t_test_p, comparison.wilcoxon_p) == (0.0, 1.0, 1.0)


def test_several_classes_are_compared_in_their_mean_too(row: Row) -> None:
    rows = [row(case, name, dice=0.9) for case in "ab" for name in ("tumour", "cyst")]
    others = [row("a", "tumour", dice=0.9), row("a", "cyst", dice=0.8), row("b", "tumour", dice=0.6), row("b", "cyst")]
    comparison = of(compare_rows(rows, others), "mean over classes", "dice")
    assert comparison.difference.mean == pytest.approx((0.05 + 0.1) / 2)
    assert (comparison.difference.cases, comparison.t_test_p is None) == (2, False)


@pytest.mark.parametrize(
    ("cases", "others", "sentence"),
    [
        ("ab", "abc", r"1 are only in the other file, the first is case 'c', class 'tumour'"),
        ("abc", "b", r"2 are only in these predictions, the first is case 'a'"),
    ],
)
def test_other_cases_are_an_error(row: Row, cases: str, others: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        compare_rows([row(case) for case in cases], [row(case) for case in others])
