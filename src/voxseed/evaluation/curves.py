"""Training curves: what a stage of a run logged, one row per epoch."""

import csv
from dataclasses import dataclass
from pathlib import Path

from voxseed.errors import InputError

_NOT_LOSSES = ("epoch", "step", "seconds")


@dataclass(frozen=True)
class StageCurves:
    """Losses of one stage.

    Attributes:
        name: folder of the stage, "01-stage-one".
        steps: (E,), optimiser steps at the end of each epoch.
        losses: network → loss term → (E,) means over each epoch. Columns are named network/term; a column without a
            network is under "".
        seconds: of all epochs.
    """

    name: str
    steps: tuple[float, ...]
    losses: dict[str, dict[str, tuple[float, ...]]]
    seconds: float


def read_curves(stage: Path) -> StageCurves | None:
    """Read metrics.csv of a stage folder; None where no epoch is finished yet.

    Raises:
        InputError: if the file is damaged.
    """
    path = stage / "metrics.csv"
    if not path.exists():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        losses: dict[str, dict[str, tuple[float, ...]]] = {}
        for column in [name for name in (rows[0] if rows else ()) if name not in _NOT_LOSSES]:
            network, separator, term = column.partition("/")
            values = tuple(row[column] for row in rows)
            losses.setdefault(network if separator else "", {})[term if separator else network] = values
        steps, seconds = tuple(row["step"] for row in rows), sum(row["seconds"] for row in rows)
    except (KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected numbers under epoch, step, seconds and losses, but {error!r}.") from None
    return StageCurves(stage.name, steps, losses, seconds) if rows else None
