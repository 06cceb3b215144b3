"""The table of empty masks, and units."""

import numpy as np
import pytest

from voxseed.metrics.pair import PairMetrics, pair_metrics

EMPTY = np.zeros((6, 6, 6), bool)
OBJECT = EMPTY.copy()
OBJECT[1:5, 1:5, 1:5] = True


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        (EMPTY, EMPTY, PairMetrics(dice=1, assd_mm=None, hd95_mm=None, nsd=1, volume_ml=0, reference_ml=0,
                                   missed=False, false_alarm=False)),
        (EMPTY, OBJECT, PairMetrics(dice=0, assd_mm=None, hd95_mm=None, nsd=0, volume_ml=0, reference_ml=0.128,
                                    missed=True, false_alarm=False)),
        (OBJECT, EMPTY, PairMetrics(dice=0, assd_mm=None, hd95_mm=None, nsd=0, volume_ml=0.128, reference_ml=0,
                                    missed=False, false_alarm=True)),
        (OBJECT, OBJECT, PairMetrics(dice=1, assd_mm=0, hd95_mm=0, nsd=1, volume_ml=0.128, reference_ml=0.128,
                                     missed=False, false_alarm=False)),
    ],
)  # fmt: skip
def test_empty_and_full(prediction: np.ndarray, reference: np.ndarray, expected: PairMetrics) -> None:
    assert pair_metrics(prediction, reference, (1.0, 1.0, 2.0), tolerance_mm=2.0) == expected


def test_many_threads_give_the_same() -> None:
    moved = np.roll(OBJECT, 1, axis=0)
    alone = pair_metrics(OBJECT, moved, (1, 2, 3), tolerance_mm=1.0)
    assert pair_metrics(OBJECT, moved, (1, 2, 3), tolerance_mm=1.0, workers=-1) == alone
