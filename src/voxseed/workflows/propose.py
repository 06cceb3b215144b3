"""Propose: predictions of the cases so far into the cases to annotate next."""

from collections.abc import Collection, Iterable

from voxseed.workflows.prediction_records import PredictionRecord


def propose(records: Iterable[PredictionRecord], annotated: Collection[str], count: int = 10) -> tuple[str, ...]:
    """The cases to annotate next: those with the lowest expected Dice, mean over classes, the lowest first.

    Their predictions most need to be put right. As a training set they were no better than cases in random order, see
    docs/results/review.md.

    Args:
        records: of predictions.
        annotated: names of the cases that have an annotation.
        count: at most so many.

    Returns:
        Names of cases that are not annotated; none if all are. Of equal ones the first record comes first.
    """
    waiting = [record for record in records if record.case not in annotated]
    return tuple(record.case for record in sorted(waiting, key=lambda record: record.mean_expected_dice)[:count])
