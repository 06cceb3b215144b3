"""Evaluate: predictions against labels, into metrics.csv."""

from dataclasses import dataclass
from pathlib import Path

from voxseed.errors import InputError
from voxseed.evaluation.calibration import (
    PROBABILITIES_FOLDER,
    Calibration,
    calibration_path,
    measure_calibration,
    write_calibration,
)
from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.compare import DEFAULT_TOLERANCE_MM, evaluate_pairs
from voxseed.evaluation.comparison import Comparison, compare_rows, require_same_cases
from voxseed.evaluation.metrics_file import read_metrics, write_metrics
from voxseed.evaluation.pairing import Pairing, pair_files
from voxseed.evaluation.record import EvaluationRecord, oracle_notes, read_record, record_path, write_record
from voxseed.evaluation.statistics import ClassSummary, summarise
from voxseed.evaluation.tables import comparison_table, summary_table
from voxseed.workflows import prediction_records


@dataclass(frozen=True)
class EvaluationSummary:
    """What an evaluation found.

    Attributes:
        path: metrics.csv.
        rows: one per case and class.
        summaries: one per class, and with several classes one of the mean over classes.
        comparisons: paired with the other metrics file, if one was given.
        tolerance_mm: of the NSD.
        calibrations: one per class, if there are probabilities.
        unlabelled: cases with a prediction and without a label, which could not be evaluated.
        unpredicted: labelled cases of the dataset that nobody predicted, if a whole dataset was given.
        oracle_notes: a sentence for each model that learned with an oracle.
    """

    path: Path
    rows: tuple[CaseMetrics, ...]
    summaries: tuple[ClassSummary, ...]
    comparisons: tuple[Comparison, ...]
    tolerance_mm: float
    unlabelled: tuple[str, ...]
    unpredicted: tuple[str, ...]
    calibrations: tuple[Calibration, ...] = ()
    oracle_notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The tables and sentences that a person reads."""
        parts = [summary_table(self.summaries).as_text(), f"NSD within {self.tolerance_mm:g} mm."]
        if self.comparisons:
            parts.append(comparison_table(self.comparisons).as_text())
        if self.calibrations:
            errors = ", ".join(f"{each.class_name} {each.error:.3f}" for each in self.calibrations)
            parts.append(f"Expected calibration error: {errors}.")
        return "\n\n".join([*parts, *self.oracle_notes, *self.warnings])

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that was left out."""
        return tuple(
            f"{len(cases)} {what} evaluated: {', '.join(cases[:5])}{', …' if len(cases) > 5 else ''}."
            for cases, what in (
                (self.unlabelled, "predicted cases have no label and were not"),
                (self.unpredicted, "labelled cases of the dataset have no prediction and were not"),
            )
            if cases
        )


def evaluate(
    predictions: str | Path,
    labels: str | Path,
    out: str | Path,
    *,
    against: str | Path | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
) -> EvaluationSummary:
    """Compare predictions with labels on their own grid and write metrics.csv.

    Beside metrics.csv lies metrics.json, which tells `report` where predictions and labels are, for its pictures; and
    metrics-calibration.csv, if there are probabilities in PREDICTIONS/probabilities.

    Args:
        predictions: folder of label maps.
        labels: folder of label maps, all of which must have been predicted; or a dataset, whose labels are then
            restricted to the predicted cases.
        out: the metrics.csv to write.
        against: metrics.csv of another method on the same cases, for a paired comparison.
        tolerance_mm: of the NSD; 2 mm if not given.

    Raises:
        InputError: if something cannot be evaluated, or `against` is of other cases; nothing is written then.
    """
    predictions, labels, out = Path(predictions), Path(labels), Path(out)
    against = None if against is None else Path(against)
    if out.suffix != ".csv":
        raise InputError(f"--out {out}: expected the name of a file that ends in .csv, for example metrics.csv.")
    _require_no_overwriting(out)
    pairing = pair_files(predictions, labels)
    others = [] if against is None else _comparable(against, pairing)
    oracles = _oracles(predictions, pairing)
    record = EvaluationRecord(predictions, labels, pairing.dataset, tolerance_mm, against, oracles)
    notes = oracle_notes(record)
    rows = evaluate_pairs(pairing, tolerance_mm=tolerance_mm)
    calibrations = measure_calibration(pairing, predictions / PROBABILITIES_FOLDER)
    write_metrics(out, rows)
    write_record(out, record)
    if calibrations:
        write_calibration(calibration_path(out), calibrations)
    else:
        calibration_path(out).unlink(missing_ok=True)  # of an earlier evaluation
    return EvaluationSummary(
        path=out,
        rows=tuple(rows),
        summaries=tuple(summarise(rows)),
        # Both as the files have them: rounded numbers would differ from exact ones.
        comparisons=tuple(compare_rows(read_metrics(out), others)) if others else (),
        tolerance_mm=tolerance_mm,
        unlabelled=pairing.unlabelled,
        unpredicted=pairing.unpredicted,
        calibrations=tuple(calibrations),
        oracle_notes=notes,
    )


def _oracles(predictions: Path, pairing: Pairing) -> tuple[str, ...]:
    """What the models that predicted took from dense labels beside their supervision, as far as their records say."""
    records = (prediction_records.read_record(predictions, pair.case) for pair in pairing.pairs)
    return tuple(dict.fromkeys(name for record in records if record is not None for name in record.oracles))


def _require_no_overwriting(out: Path) -> None:
    """Check that what lies where metrics.json goes is an earlier one, and not, say, a dataset.json."""
    try:
        read_record(out)
    except InputError:
        raise InputError(
            f"{record_path(out)}: would be replaced, but is no record of an evaluation. "
            f"Choose another name than {out.name} with --out, or remove it."
        ) from None


def _comparable(against: Path, pairing: Pairing) -> list[CaseMetrics]:
    """Rows of the other file, checked before the long work."""
    others = read_metrics(against)
    here = {(pair.case, name) for pair in pairing.pairs for name in pairing.labels.foreground}
    require_same_cases(here, {(row.case, row.class_name) for row in others}, str(against))
    return others
