"""The report: one HTML page that needs nothing else, neither files beside it nor a network."""

import base64
from dataclasses import dataclass, field
from typing import Final

from voxseed import __version__
from voxseed.evaluation.tables import Table

DISCLAIMER: Final = "For research, not for diagnosis."


@dataclass(frozen=True)
class Picture:
    """A picture with its text.

    Attributes:
        png: PNG bytes.
        png_dark: the same for dark mode; None if `png` suits both.
        alt: what a person who cannot see it is told.
    """

    title: str
    png: bytes
    alt: str
    png_dark: bytes | None = None


@dataclass(frozen=True)
class KeyNumber:
    """A number to see first."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page; what is empty is left out.

    Attributes:
        facts: short name and value pairs below the title.
        notes: sentences on oracles, and on what is missing and why.
        table_note: how the numbers of the summary are defined.
        reliability: diagram of the predicted probabilities.
        overlays: of the worst, the median and the best case.
        curves: one per stage.
        settings: text of settings.yaml.
        provenance: name and value pairs.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    key_numbers: tuple[KeyNumber, ...] = ()
    summary: Table | None = None
    table_note: str = ""
    comparison: Table | None = None
    distribution: Picture | None = None
    reliability: Picture | None = None
    overlays: tuple[Picture, ...] = ()
    cases: Table | None = None
    curves: tuple[Picture, ...] = ()
    settings: str = ""
    provenance: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True)
class BenchmarkContent:
    """Everything on the page of a benchmark's table.

    Attributes:
        notes: sentences on what the rows share, and on what is missing.
        table_note: how the numbers are defined.
        overlays: of a median and a hard case.
        origins: seeds, versions and seconds of every row.
        settings: title and text per row.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    table: Table
    table_note: str
    figure: Picture
    overlays: tuple[Picture, ...]
    origins: Table
    settings: tuple[tuple[str, str], ...]


def render_report(content: ReportContent) -> str:
    """The page as HTML. Every text is escaped."""
    return _rendered("report.html.j2", content)


def render_benchmark(content: BenchmarkContent) -> str:
    """The page as HTML. Every text is escaped."""
    return _rendered("benchmark.html.j2", content)


def _rendered(template: str, content: ReportContent | BenchmarkContent) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("voxseed.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template(template).render(report=content, disclaimer=DISCLAIMER, version=__version__)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
