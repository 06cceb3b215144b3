"""Propose: predictions of the cases so far into the cases to annotate next."""

from collections.abc import Collection, Sequence

import numpy as np

from voxseed.errors import InputError
from voxseed.inference.proposal import proposed_order
from voxseed.workflows.prediction_records import PredictionRecord


def propose(records: Sequence[PredictionRecord], annotated: Collection[str], count: int = 10) -> tuple[str, ...]:
    """The cases from which the next training would learn most, the best first.

    Args:
        records: of predictions of one model, also of annotated cases, so that none like them is proposed.
        annotated: names of the cases that have an annotation; those without a record have no say.
        count: at most so many.

    Returns:
        Names of cases that are not annotated; none if all are.

    Raises:
        InputError: if the records are of models with different channels.
    """
    if not records:
        return ()
    sizes = {len(record.descriptor) for record in records}
    if len(sizes) > 1:
        raise InputError(
            f"{records[0].case}, …: the predictions are of models with different channels. Predict all with one model."
        )
    order = proposed_order(
        lost=np.array([1 - record.mean_expected_dice for record in records]),
        descriptors=np.array([record.descriptor for record in records]),
        is_annotated=np.array([record.case in annotated for record in records]),
        count=count,
    )
    return tuple(records[index].case for index in order)
