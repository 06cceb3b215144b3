"""What a table is: its rows as data, validated. No row is trained here."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from voxseed.settings import Settings

Metric = Literal["dice", "jaccard", "assd_mm", "hd95_mm", "nsd", "precision", "recall"]
Cases = Literal["test", "validation"]
_SOURCES = ("method", "pseudo_label", "run_of", "made_by")


class Row(Settings):
    """One line of a table: exactly one of method, pseudo_label, run_of and made_by says where its predictions are from.

    Attributes:
        title: as it is printed.
        method: recipe or method that is trained for it.
        settings: nested values, on top of the preset, the table's and the command's.
        starts_from: member → "ROW:member", a network of an earlier row with the same seed.
        protocol: of annotations, where it is not the table's.
        simulated: how its annotations are simulated, on top of the table's; they are simulated then even if the dataset
            has a set of that protocol.
        oracle: the true information that the row uses and a user would not have.
        pseudo_label: nothing is trained; the supervision itself is measured, unannotated voxels as background.
        run_of: an earlier row, whose run is measured in another way.
        made_by: the command that makes the row; it is shown where it is there.
        ensemble: predict with the mean of all networks.
        member: network that predicts; the run's first if not given.
        published: data of the paper → mean Dice.
        seed_offset: added to the seed, for a row that is to differ from another in nothing but its seed.
        shown: False for a row that only others start from.
    """

    title: str
    method: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    starts_from: dict[str, str] = Field(default_factory=dict)
    protocol: str | None = None
    simulated: dict[str, Any] = Field(default_factory=dict)
    oracle: str | None = None
    pseudo_label: bool = False
    run_of: str | None = None
    made_by: str | None = None
    ensemble: bool = False
    member: str | None = None
    published: dict[str, float] = Field(default_factory=dict)
    seed_offset: int = Field(0, ge=0)
    shown: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(_SOURCES)}, found {', '.join(given) or 'none'}")
        if self.starts_from and self.method is None:
            raise ValueError("starts_from is for rows with a method")
        if self.ensemble and self.member:
            raise ValueError("either ensemble or member")
        return self

    @property
    def earlier_rows(self) -> tuple[str, ...]:
        """Rows whose runs this one needs."""
        starts = (source.partition(":")[0] for source in self.starts_from.values())
        return tuple(dict.fromkeys((*starts, *([self.run_of] if self.run_of else []))))


class Panel(Settings):
    """A parameter that rows vary, as one panel of the figure.

    Attributes:
        axis: what is varied.
        lines: name of a line → row → the row's value of the parameter.
    """

    axis: str
    lines: Annotated[dict[str, dict[str, float]], Field(min_length=1)]


class Figure(Settings):
    """Curves over one or more parameters; every line once per metric."""

    panels: Annotated[tuple[Panel, ...], Field(min_length=1)]
    metrics: tuple[Metric, ...] = ("dice",)


class Table(Settings):
    """A table of methods on one dataset.

    Attributes:
        title: as it is printed.
        source: where the published numbers are.
        protocol: of the annotations that rows learn from, unless the command or a row says otherwise.
        simulated: how annotations are simulated where none are there; defaults if not given.
        measured_on: the cases that rows are measured on, unless the command says otherwise.
        baseline: the row that others are tested against, unless the command says otherwise.
        settings: nested values for all rows, above the preset's and below the command's.
        metrics: columns.
        figure: curves; without it, the figure shows the Dice of every row.
        part_of_all: whether `all` means it too.
        rows: name → row, in the order of the table; a name is that of a folder.
    """

    title: str
    source: str = ""
    protocol: str = "points"
    simulated: dict[str, Any] = Field(default_factory=dict)
    measured_on: Cases = "test"
    baseline: str
    settings: dict[str, Any] = Field(default_factory=dict)
    metrics: tuple[Metric, ...] = ("dice", "assd_mm", "hd95_mm")
    figure: Figure | None = None
    part_of_all: bool = True
    rows: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")], Row], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.baseline not in self.rows:
            raise ValueError(f"the baseline {self.baseline!r} is no row")
        earlier: set[str] = set()
        for name, row in self.rows.items():
            self._require_earlier(name, row, earlier)
            self._require_one_growth(name, row)
            earlier.add(name)
        titles = [row.title for row in self.rows.values() if row.shown]
        if len(set(titles)) < len(titles):
            raise ValueError(f"two rows are called {next(title for title in titles if titles.count(title) > 1)!r}")
        for panel in self.figure.panels if self.figure else ():
            strangers = {name for line in panel.lines.values() for name in line} - self.rows.keys()
            if strangers:
                raise ValueError(f"figure, {panel.axis}: {min(strangers)!r} is no row")
        return self

    def with_needed(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """These rows and all that they start from, in the order of the table."""
        needed = set(names)
        for name in reversed(self.rows):
            if name in needed:
                needed.update(self.rows[name].earlier_rows)
        return tuple(name for name in self.rows if name in needed)

    def _require_earlier(self, name: str, row: Row, earlier: set[str]) -> None:
        """What a row starts from is trained before it, by a method."""
        for other in row.earlier_rows:
            if other not in earlier or self.rows[other].method is None:
                raise ValueError(f"row {name}: {other!r} is no earlier row with a method")
        for source in row.starts_from.values():
            if not source.partition(":")[2]:
                raise ValueError(f"row {name}: expected ROW:member to start from, found {source!r}")

    def _require_one_growth(self, name: str, row: Row) -> None:
        """Rows that are compared must differ in what they claim to test, and not in how points were grown."""
        expansion = row.settings.get("expansion", {})
        if not isinstance(expansion, dict):
            raise ValueError(f"row {name}: settings.expansion: expected settings and values, found {expansion!r}")
        if expansion.keys() - {"probability"} and not row.pseudo_label:
            raise ValueError(f"row {name}: all trained rows of a table use the same growth; set it for the table")
