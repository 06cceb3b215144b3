import numpy as np
import pytest
from scipy.stats import spearmanr

from voxseed.errors import ShapeError
from voxseed.evaluation.rank_correlation import rank_correlation


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 1000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),  # 1 - 6 (1 + 1 + 1 + 1) / (4 (16 - 1))
        ([1, 1, 2], [1, 2, 3], np.sqrt(3) / 2),  # ranks 1.5, 1.5, 3 and 1, 2, 3
    ],
)
def test_a_few_cases_by_hand(first, second, expected):
    assert rank_correlation(np.array(first, float), np.array(second, float)).rho == pytest.approx(expected)


def test_as_scipy_has_it_with_an_interval_that_every_resample_has_a_part_in():
    rng = np.random.default_rng(1)
    first = rng.normal(size=30).round(1)
    second = (first + rng.normal(size=30)).round(1)
    found = rank_correlation(first, second)
    assert found.rho == pytest.approx(spearmanr(first, second).statistic)
    again = np.random.default_rng(0).integers(30, size=(10_000, 30))[:2000]
    slow = [spearmanr(first[drawn], second[drawn]).statistic for drawn in again]
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.03)
    assert rank_correlation(first, second) == found


def test_a_number_that_is_the_same_for_all_ranks_nothing():
    found = rank_correlation(np.ones(5), np.arange(5.0))
    assert np.isnan([found.rho, found.low, found.high]).all()
    rare = rank_correlation(np.array([0.0, 0.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert rare.rho == pytest.approx(np.sqrt(3 / 5)), "resamples without the last case are left out"
    assert np.isfinite([rare.low, rare.high]).all()


@pytest.mark.parametrize(("first", "second"), [((3,), (4,)), ((1,), (1,)), ((2, 2), (2, 2))])
def test_other_shapes_are_refused(first, second):
    with pytest.raises(ShapeError, match="Expected two arrays"):
        rank_correlation(np.ones(first), np.ones(second))
