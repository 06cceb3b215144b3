"""What a check of a dataset finds and counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from voxseed.errors import InputError
from voxseed.types import Shape3, Spacing


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Training or prediction would fail or be wrong."""
    WARNING = "warning"
    """Probably not what was meant."""
    INFO = "info"
    """Worth knowing."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        where: the part of the dataset: its name, a case, "splits", an annotation set, or SET/CASE.
        message: a sentence that says what is wrong and what to do.
    """

    severity: Severity
    where: str
    message: str


class Findings(list[Finding]):
    """Findings in the order in which they were made."""

    def add(self, severity: Severity, where: str, message: str) -> None:
        """Add a finding."""
        self.append(Finding(severity, where, message))

    @contextmanager
    def errors_of(self, where: str) -> Iterator[None]:
        """Turn an InputError raised in the context into a finding, so that the check goes on after it.

        What was said already, such as of an image that annotations are compared with too, is not said again.
        """
        try:
            yield
        except InputError as error:
            if all(finding.message != str(error) for finding in self):
                self.add(Severity.ERROR, where, str(error))


@dataclass(frozen=True)
class SetSummary:
    """What an annotation set holds.

    Attributes:
        case_count: annotated cases that could be read.
        class_cases: foreground class → number of cases in which it is annotated.
    """

    name: str
    protocol: str
    case_count: int
    class_cases: dict[str, int]


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds.

    Attributes:
        label_count: cases, test cases included, with a dense label that could be read.
        label_class_cases: foreground class → number of dense labels in which it occurs.
        shape_range, spacing_range_mm: smallest and largest along each axis, over the images that could be read;
            None if there is none.
    """

    name: str
    channel_names: tuple[str, ...]
    case_count: int
    test_case_count: int
    label_count: int
    label_class_cases: dict[str, int]
    shape_range: tuple[Shape3, Shape3] | None
    spacing_range_mm: tuple[Spacing, Spacing] | None
    annotation_sets: tuple[SetSummary, ...]

    def rows(self) -> list[tuple[str, str]]:
        """What and how much or which, for a table."""
        rows = [
            ("dataset", self.name),
            ("channels", ", ".join(self.channel_names)),
            ("cases", f"{self.case_count}, and {self.test_case_count} test cases"),
            ("dense labels", f"{self.label_count}{_per_class(self.label_class_cases)}"),
        ]
        if self.shape_range is not None:
            rows.append(("shape, voxels", _from_to(self.shape_range)))
        if self.spacing_range_mm is not None:
            rows.append(("spacing, mm", _from_to(self.spacing_range_mm)))
        for item in self.annotation_sets:
            rows.append(
                (f"annotations {item.name}", f"{item.protocol}, {item.case_count}{_per_class(item.class_cases)}")
            )
        return rows


@dataclass(frozen=True)
class DatasetCheck:
    """Outcome of a check.

    Attributes:
        findings: in the order of the dataset: files, cases, splits, annotation sets.
        summary: None if there is no dataset to summarise.
    """

    findings: tuple[Finding, ...]
    summary: DatasetSummary | None

    @property
    def has_errors(self) -> bool:
        """Whether anything must be corrected before the dataset can be used."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def _per_class(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{name} in {count}' for name, count in counts.items())})"


def _from_to(ends: tuple[Shape3, Shape3] | tuple[Spacing, Spacing]) -> str:
    """For example "10×13×14 to 12×13×14", or only one of the two where they are equal."""
    low, high = ("×".join(f"{value:g}" for value in end) for end in ends)
    return low if low == high else f"{low} to {high}"
