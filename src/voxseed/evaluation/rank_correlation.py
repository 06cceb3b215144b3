"""Whether one number ranks cases as another does."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from voxseed.errors import ShapeError
from voxseed.evaluation.statistics import CONFIDENCE, RESAMPLES
from voxseed.types import FloatArray


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho with the percentile bootstrap interval over cases; NaN where a number is the same for all."""

    rho: float
    low: float
    high: float


def rank_correlation(first: FloatArray, second: FloatArray, seed: int = 0) -> RankCorrelation:
    """Spearman's rho: Pearson's correlation of the ranks, where equal values share the mean of their ranks.

    Resampled cases are ranked anew; a resample in which a number is the same for all is left out.

    Args:
        first, second: (N,), a value per case.
        seed: the same seed gives the same interval.

    Raises:
        ShapeError: if they are not two values per case of at least two cases.
    """
    if first.ndim != 1 or first.shape != second.shape or first.size < 2:
        raise ShapeError(f"Expected two arrays (N,) of at least two cases, found {first.shape} and {second.shape}.")
    rho = float(_rho(first[None], second[None])[0])
    if np.isnan(rho):
        return RankCorrelation(rho, rho, rho)
    drawn = np.random.default_rng(seed).integers(first.size, size=(RESAMPLES, first.size))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(_rho(first[drawn], second[drawn]), [tail, 1 - tail])
    return RankCorrelation(rho, float(low), float(high))


def _rho(first: FloatArray, second: FloatArray) -> FloatArray:
    """Of each row of two arrays (R, N): (R,)."""
    ranks = [rankdata(values, axis=1) for values in (first, second)]
    a, b = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    sizes = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    result: FloatArray = np.divide((a * b).sum(axis=1), sizes, out=np.full(len(a), np.nan), where=sizes > 0)
    return result
