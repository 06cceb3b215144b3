import pytest

from voxseed.errors import InputError
from voxseed.workflows.prediction_records import PredictionRecord
from voxseed.workflows.propose import propose


def record(case: str, place: float, *dices: float) -> PredictionRecord:
    estimates = {f"class {index}": dice for index, dice in enumerate(dices)}
    return PredictionRecord(case, {}, (), (), (), estimates, descriptor=(place, 0.0))


RECORDS = [record("a", -1, 0.9, 0.9), record("b", 1, 0.9, 0.9), record("c", 2, 0.2, 0.4), record("d", 10, 0.6, 1.0)]


def test_what_stands_for_the_worst_comes_first_and_nothing_like_an_annotated_case():
    """Nobody is annotated: c gains 0.7 × 11 for itself, 0.1 × 10 and 0.1 × 8 for its neighbours, 0.2 × 3 for d."""
    assert propose(RECORDS, []) == ("c", "d", "a", "b")
    assert propose(RECORDS, ["b", "elsewhere"], count=1) == ("d",)  # 0.2 × 9 against 0.7 × 1
    assert propose(RECORDS, ["a", "b", "c", "d"]) == ()
    assert propose([], ["a"]) == ()


def test_predictions_of_models_with_other_channels_are_refused():
    other = PredictionRecord("e", {}, (), (), (), {"class 0": 0.5}, descriptor=(1.0,))
    with pytest.raises(InputError, match=r"of models with different channels\. Predict all with one model\."):
        propose([*RECORDS, other], [])
