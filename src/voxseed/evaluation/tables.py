"""Tables of results as plain text, CSV and cells."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voxseed.evaluation.case_metrics import CaseMetrics
from voxseed.evaluation.comparison import Comparison
from voxseed.evaluation.statistics import METRICS, ClassSummary, Estimate

TITLES: Final = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "assd_mm": "ASSD (mm)",
    "hd95_mm": "HD95 (mm)",
    "nsd": "NSD",
    "precision": "precision",
    "recall": "recall",
}
NOTHING: Final = "–"
_DIGITS = {"dice": 3, "jaccard": 3, "assd_mm": 2, "hd95_mm": 2, "nsd": 3, "precision": 3, "recall": 3}


@dataclass(frozen=True)
class Table:
    """Cells that are ready to show; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_text(self) -> str:
        """Aligned columns; the first to the left, the others to the right."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def as_markdown(self) -> str:
        """A table of a Markdown page."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)

    def as_csv(self) -> str:
        """One line per row, with a header."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def summary_table(summaries: Sequence[ClassSummary]) -> Table:
    """Class, cases, each metric as "mean ± sd [interval]", missed and false alarms.

    A mean over fewer than all cases says over how many.
    """
    rows = [
        (
            summary.class_name,
            str(summary.cases),
            *(estimate_cell(summary.estimates[metric], metric, summary.cases) for metric in METRICS),
            str(summary.missed),
            str(summary.false_alarms),
        )
        for summary in summaries
    ]
    return Table(("class", "cases", *(TITLES[metric] for metric in METRICS), "missed", "false alarms"), tuple(rows))


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Class, metric, cases, mean difference with its interval, p values."""
    rows = [
        (
            comparison.class_name,
            TITLES[comparison.metric],
            str(comparison.difference.cases),
            difference_cell(comparison.difference, comparison.metric),
            p_cell(comparison.t_test_p),
            p_cell(comparison.wilcoxon_p),
        )
        for comparison in comparisons
    ]
    return Table(("class", "metric", "cases", "difference", "p (t-test)", "p (Wilcoxon)"), tuple(rows))


def case_table(rows: Sequence[CaseMetrics]) -> Table:
    """Every row of metrics.csv; the last column says "missed" or "false alarm"."""
    header = ("case", "class", *(TITLES[metric] for metric in METRICS), "volume (ml)", "reference (ml)", "remark")
    return Table(header, tuple(_case_cells(row) for row in rows))


def _case_cells(row: CaseMetrics) -> tuple[str, ...]:
    remark = "missed" if row.missed else "false alarm" if row.false_alarm else ""
    volumes = (f"{row.volume_ml:.4g}", f"{row.reference_ml:.4g}")
    metrics = (_number(getattr(row, metric), metric) for metric in METRICS)
    return row.case, row.class_name, *metrics, *volumes, remark


def estimate_cell(value: Estimate, metric: str, all_cases: int) -> str:
    """Mean ± sd [interval], and over how many cases if not over all."""
    if value.mean is None:
        return NOTHING
    cell = _number(value.mean, metric)
    if value.sd is not None:
        cell += f" ± {_number(value.sd, metric)} [{_number(value.low, metric)}, {_number(value.high, metric)}]"
    return cell if value.cases == all_cases else f"{cell} ({value.cases} of {all_cases})"


def difference_cell(value: Estimate, metric: str) -> str:
    """Mean difference with its sign, and its interval."""
    if value.mean is None:
        return NOTHING
    digits = _DIGITS[metric]
    cell = f"{value.mean:+.{digits}f}"
    return cell if value.low is None else f"{cell} [{value.low:+.{digits}f}, {value.high:+.{digits}f}]"


def p_cell(p: float | None) -> str:
    """A p value; those that are too small to matter are not spelled out."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float | None, metric: str) -> str:
    return NOTHING if value is None else f"{value:.{_DIGITS[metric]}f}"
