from voxseed.workflows.prediction_records import PredictionRecord
from voxseed.workflows.propose import propose


def record(case: str, *dices: float) -> PredictionRecord:
    return PredictionRecord(case, {}, (), (), (), {f"class {index}": dice for index, dice in enumerate(dices)})


RECORDS = [record("a", 0.9, 0.7), record("b", 0.1, 0.9), record("c", 0.6, 0.2), record("d", 0.5, 0.5)]


def test_the_lowest_mean_over_classes_comes_first():
    """Means: 0.8, 0.5, 0.4, 0.5."""
    assert propose(RECORDS, []) == ("c", "b", "d", "a")
    assert propose(RECORDS, [], count=2) == ("c", "b")


def test_annotated_cases_are_not_proposed():
    assert propose(RECORDS, ["c", "elsewhere"], count=1) == ("b",)
    assert propose(RECORDS, ["a", "b", "c", "d"]) == ()
    assert propose([], ["a"]) == ()
