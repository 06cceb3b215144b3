"""The table of a benchmark: a line per row and class, over cases and seeds, beside what was published."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from voxseed.evaluation.comparison import Comparison
from voxseed.evaluation.repeats import Repeats, compare_repeats, summarise_repeats
from voxseed.evaluation.statistics import MEAN_OVER_CLASSES, ClassSummary, Estimate
from voxseed.evaluation.tables import TITLES, Table, difference_cell, estimate_cell, p_cell

ORACLE_MARK = " (oracle)"


@dataclass(frozen=True)
class ResultRow:
    """What was measured of a row.

    Attributes:
        repeats: seed → rows of metrics.csv.
        training_seconds: mean over seeds; None where nothing was trained for it.
        published: data of the paper → mean Dice.
        oracle: whether it used what a user would not have.
    """

    name: str
    title: str
    repeats: Repeats
    training_seconds: float | None = None
    published: dict[str, float] = field(default_factory=dict)
    oracle: bool = False

    @property
    def marked_title(self) -> str:
        """Its title; an oracle says so wherever the row is shown."""
        return self.title + (ORACLE_MARK if self.oracle else "")


@dataclass(frozen=True)
class Results:
    """All rows that are there.

    Attributes:
        rows: measured on the same cases, in the order of the table.
        metrics: names of attributes of `CaseMetrics`.
        baseline: name of the row that the others are tested against, in `compared`; nothing is tested where it is not
            among the rows.
        compared: the metric that is tested.
    """

    rows: Sequence[ResultRow]
    metrics: Sequence[str]
    baseline: str
    compared: str = "dice"

    @cached_property
    def lines(self) -> list[tuple[ResultRow, ClassSummary, Comparison | None]]:
        """Every row and class, compared with the baseline unless it is the baseline.

        Raises:
            InputError: if the rows were not measured on the same cases and classes.
        """
        baseline = next((row for row in self.rows if row.name == self.baseline), None)
        found = []
        for row in self.rows:
            compared = [] if baseline in (None, row) else compare_repeats(row.repeats, baseline.repeats, self.compared)
            comparisons = {comparison.class_name: comparison for comparison in compared}
            for summary in summarise_repeats(row.repeats, (*self.metrics, *self._further)):
                found.append((row, summary, comparisons.get(summary.class_name)))
        return found

    @property
    def published(self) -> tuple[str, ...]:
        """Data of the paper that any row has a number of."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.published))

    @cached_property
    def _several_classes(self) -> bool:
        return any(summary.class_name == MEAN_OVER_CLASSES for _, summary, _ in self.lines)

    def _published(self, row: ResultRow, summary: ClassSummary) -> dict[str, float]:
        """Beside the mean over classes, where there are several: the number is of no class of this dataset."""
        return row.published if summary.class_name == MEAN_OVER_CLASSES or not self._several_classes else {}

    def table(self) -> Table:
        """Cells to read; the class is left out where there is one."""
        several = self._several_classes
        header = (
            "row",
            *(("class",) if several else ()),
            *(TITLES[metric] for metric in self.metrics),
            "cases",
            "seeds",
            "missed",
            f"{TITLES[self.compared]} − {self.baseline}",
            "p (t-test)",
            "p (Wilcoxon)",
            "training (min)",
            *(f"published, {name}" for name in self.published),
        )
        return Table(header, tuple(self._cells(*line, several) for line in self.lines))

    def csv(self) -> str:
        """Numbers to compute with: columns METRIC_mean, _sd, _low, _high, _cases; empty where there is none."""
        text = io.StringIO()
        parts = ("mean", "sd", "low", "high", "cases")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                *("row", "title", "oracle", "class", "seeds", "cases"),
                *(f"{metric}_{part}" for metric in self.metrics for part in parts),
                *("missed", "false_alarms", "difference", "difference_low", "difference_high", "t_test_p"),
                *("wilcoxon_p", "training_seconds", *(f"published_{name}" for name in self.published)),
            ]
        )
        for row, summary, comparison in self.lines:
            published = self._published(row, summary)
            difference = comparison.difference if comparison else Estimate(0)
            numbers = [getattr(summary.estimates[metric], part) for metric in self.metrics for part in parts]
            tested = (difference.mean, difference.low, difference.high)
            p_values = (comparison.t_test_p, comparison.wilcoxon_p) if comparison else (None, None)
            writer.writerow(
                [
                    *(row.name, row.title, int(row.oracle), summary.class_name, len(row.repeats), summary.cases),
                    *map(_field, numbers),
                    *(summary.missed, summary.false_alarms),
                    *map(_field, (*tested, *p_values, row.training_seconds)),
                    *(_field(published.get(name)) for name in self.published),
                ]
            )
        return text.getvalue()

    @property
    def _further(self) -> tuple[str, ...]:
        """The compared metric, where it is no column."""
        return () if self.compared in self.metrics else (self.compared,)

    def _cells(
        self, row: ResultRow, summary: ClassSummary, comparison: Comparison | None, several: bool
    ) -> tuple[str, ...]:
        classes = (
            len({each.class_name for rows in row.repeats.values() for each in rows})
            if summary.class_name == MEAN_OVER_CLASSES
            else 1
        )
        published = self._published(row, summary)
        tested = ("", "", "")
        if comparison is not None:
            difference = difference_cell(comparison.difference, self.compared)
            tested = (difference, p_cell(comparison.t_test_p), p_cell(comparison.wilcoxon_p))
        return (
            row.marked_title,
            *((summary.class_name,) if several else ()),
            *(estimate_cell(summary.estimates[metric], metric, summary.cases) for metric in self.metrics),
            str(summary.cases),
            str(len(row.repeats)),
            f"{summary.missed} of {summary.cases * len(row.repeats) * classes}",
            *tested,
            "" if row.training_seconds is None else f"{row.training_seconds / 60:.1f}",
            *(f"{published[name]:.3f}" if name in published else "" for name in self.published),
        )


def _field(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"
