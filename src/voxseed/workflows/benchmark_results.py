"""Write a table of a benchmark from the rows that are there: text, CSV, JSON, HTML, figure, overlays."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from voxseed.benchmarks.definitions import Row
from voxseed.benchmarks.definitions import Table as Definition
from voxseed.benchmarks.records import RowRecord
from voxseed.data.volumes import Volume
from voxseed.errors import InputError, UnknownNameError
from voxseed.evaluation.benchmark_table import ORACLE_MARK, ResultRow, Results
from voxseed.evaluation.compare import read_pair
from voxseed.evaluation.figures import DARK, LIGHT, Curve, Theme, intervals_png, sweep_png
from voxseed.evaluation.metrics_file import read_metrics
from voxseed.evaluation.overlays import overlay_rows_png
from voxseed.evaluation.pairing import CasePair
from voxseed.evaluation.repeats import Repeats, case_means, class_names, summarise_repeats
from voxseed.evaluation.report import BenchmarkContent, Picture, render_benchmark
from voxseed.evaluation.shown_channel import shown_channel
from voxseed.evaluation.statistics import Estimate
from voxseed.evaluation.tables import TITLES, Table
from voxseed.files import atomic_path, write_json, write_text
from voxseed.workflows.benchmark_plan import PlannedRow, Planner
from voxseed.workflows.benchmark_rows import why_again

_SEED_FOLDER = re.compile(r"seed-(\d+)-[0-9a-f]+")
_TABLE_NOTE = (
    "Mean ± standard deviation over cases of each case's mean over seeds [95 % bootstrap interval of the mean, drawing "
    "cases and seeds]. Missed: objects that were not found, of all cases and seeds; they have Dice 0 and no distance, "
    "and means of distances say over how many cases they are. Difference: paired over cases, of the seeds that both "
    "rows have, with the same kind of interval; p is over cases alone."
)


@dataclass(frozen=True)
class WrittenTable:
    """What was written of a table.

    Attributes:
        text: the table and its notes, as in the .txt file.
        page: the HTML file; the others have its name.
    """

    name: str
    text: str
    page: Path


@dataclass(frozen=True)
class _Finished:
    """A row with the seeds that are there."""

    name: str
    row: Row
    planned: tuple[PlannedRow, ...]
    records: tuple[RowRecord, ...]

    @property
    def oracle(self) -> str:
        """What it uses and a user would not have; empty if nothing."""
        return self.planned[0].oracle

    @property
    def is_given(self) -> bool:
        """Whether it learns from annotations that somebody gave, not from simulated ones."""
        annotations = self.planned[0].annotations
        return annotations is not None and annotations.simulation is None

    def result(self) -> ResultRow:
        """For the table."""
        training = [record.seconds["training"] for record in self.records if "training" in record.seconds]
        return ResultRow(
            name=self.name,
            title=self.row.title,
            repeats={planned.seed: read_metrics(planned.folder.metrics) for planned in self.planned},
            training_seconds=float(np.mean(training)) if training else None,
            published=self.row.published,
            oracle=bool(self.oracle),
        )


def write_results(name: str, planner: Planner, baseline: str | None = None) -> WrittenTable | None:
    """Write a table of the rows that are there: NAME.txt, .md, .csv, .json, and the page with its pictures.

    Args:
        name: of the table.
        planner: of its rows.
        baseline: row that the others are tested against; the table's if not given.

    Returns:
        None if no row is there yet; nothing is written then.

    Raises:
        InputError: if a record or metrics.csv is damaged.
    """
    found = _results(planner, baseline)
    if found is None:
        return None
    there, results = found
    table, out = planner.table, planner.order.out
    overlays, overlay_notes = _overlays(planner, there, results.rows)
    figure = _figure(planner, there, results.rows, LIGHT)
    _write_bytes(out / f"{name}.png", figure)
    for kind, picture in overlays.items():
        _write_bytes(out / f"{name}-{kind}.png", picture.png)
    content = BenchmarkContent(
        title=table.title,
        facts=_facts(planner),
        notes=(*_notes(planner, there, results.baseline), *overlay_notes),
        table=results.table(),
        table_note=_TABLE_NOTE,
        figure=Picture("Figure", figure, f"Figure of {table.title}", _figure(planner, there, results.rows, DARK)),
        overlays=tuple(overlays.values()),
        origins=_origins(there),
        settings=tuple((each.row.title, _settings_text(each.records[0])) for each in there),
    )
    page = out / f"{name}.html"
    write_text(page, render_benchmark(content))
    return WrittenTable(name, _write_texts(name, planner, there, results), page)


def write_texts(name: str, planner: Planner, baseline: str | None = None) -> None:
    """Only the files of `write_results` that take no time: text, Markdown, CSV and JSON."""
    found = _results(planner, baseline)
    if found is not None:
        _write_texts(name, planner, *found)


def _results(planner: Planner, baseline: str | None) -> tuple[list[_Finished], Results] | None:
    there = [finished for each in planner.table.rows if (finished := _finished(planner, each)) is not None]
    if not there:
        return None
    rows = [each.result() for each in there]
    return there, Results(rows, planner.table.metrics, baseline or planner.table.baseline)


def _write_texts(name: str, planner: Planner, there: Sequence[_Finished], results: Results) -> str:
    """Write them; returns the plain text."""
    title, out, cells = planner.table.title, planner.order.out, results.table()
    notes = _notes(planner, there, results.baseline)
    text = "\n".join([title, "", cells.as_text(), "", _TABLE_NOTE, *notes, ""])
    markdown = "\n\n".join([f"# {title}", cells.as_markdown(), _TABLE_NOTE, *notes])
    write_text(out / f"{name}.txt", text)
    write_text(out / f"{name}.md", f"{markdown}\n")
    write_text(out / f"{name}.csv", results.csv())
    write_json(out / f"{name}.json", {each.name: [asdict(record) for record in each.records] for each in there})
    return text


def _finished(planner: Planner, name: str) -> _Finished | None:
    """A row that is to be shown, if any seed of it is there under its present key."""
    row = planner.table.rows[name]
    if not row.shown:
        return None
    seeds = sorted(_seeds_on_disk(planner.order.out / "rows" / name))
    try:
        planned = [planner.plan(name, seed) for seed in seeds]
    except UnknownNameError:  # a row from a version that knows more methods; it is listed as missing
        return None
    found = [(each, record) for each in planned if (record := each.folder.complete(each.key)) is not None]
    if not found:
        return None
    return _Finished(name, row, tuple(each for each, _ in found), tuple(record for _, record in found))


def _seeds_on_disk(folder: Path) -> set[int]:
    matches = (_SEED_FOLDER.fullmatch(path.name) for path in folder.glob("seed-*"))
    return {int(match[1]) for match in matches if match}


def _facts(planner: Planner) -> tuple[tuple[str, str], ...]:
    order = planner.order
    facts = [
        ("dataset", order.data.name),
        ("annotations", order.protocol),
        ("measured", f"{len(order.cases)} {order.measured_on} cases"),
        ("published numbers", planner.table.source),
        ("preset", order.preset or "default"),
        ("settings of all rows", ", ".join(order.overrides)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _notes(planner: Planner, there: Sequence[_Finished], baseline: str) -> tuple[str, ...]:
    """Sentences on what the rows share, on what sets one apart, and on what is missing."""
    table, names = planner.table, [each.name for each in there]
    growth = ", ".join(f"{key} {value}" for key, value in planner.growth().items())
    order = planner.order
    given = ", ".join([*([f"preset {order.preset}"] if order.preset else []), *order.overrides]) or "the defaults"
    selected = there[0].planned[0].settings.training.select
    weights = "the last ones" if selected == "last" else "the best on dense labels of the validation cases"
    notes = [
        f"{order.data.name}, {len(order.cases)} {order.measured_on} cases, annotations: {order.protocol}. "
        f"Growth of all rows that grow points: {growth}. Weights that are kept: {weights}. "
        f"Settings of all rows: {given}."
    ]
    if any(each.row.published for each in there):
        notes.append(f"Published numbers ({table.source}) are of other data and cannot be compared one to one.")
    notes += [f"{each.row.title} uses {each.oracle}, which a user would not have." for each in there if each.oracle]
    others = [f"{each.row.title} from {each.row.protocol}" for each in there if each.row.protocol]
    if others:
        notes.append(f"Not learned from {order.protocol}: {'; '.join(others)}.")
    own = [f"{each.row.title}, {_simulated(each.row)}" for each in there if each.row.simulated]
    if own:
        notes.append(f"With annotations of their own, simulated: {'; '.join(own)}.")
    unplaced = [each.row.title for each in there if each.is_given and each.name in _on_simulated_axes(table)]
    if unplaced:
        notes.append(f"Not in the figure, because their annotations are the dataset's own: {', '.join(unplaced)}.")
    if baseline not in names:
        notes.append(f"Nothing is tested: the baseline {baseline} is not there yet.")
    absent = [_with_origin(planner, name, row) for name, row in table.rows.items() if row.shown and name not in names]
    if absent:
        notes.append(f"Not there yet: {', '.join(absent)}.")
    return (*notes, *_mixed_versions(there))


def _with_origin(planner: Planner, name: str, row: Row) -> str:
    """With the command that makes it here, and why one that it made earlier is not taken."""
    if row.made_by is None:
        return name
    seeds = _seeds_on_disk(planner.order.out / "rows" / name)
    reason = why_again(planner.plan(name, min(seeds))) if seeds else ""
    return f"{name} ({row.made_by}{f'; again because of {reason}' if reason else ''})"


def _mixed_versions(there: Sequence[_Finished]) -> Iterator[str]:
    """A sentence where rows were made with different versions or devices."""
    for what in ("voxseed", "torch", "device"):
        rows: dict[str, list[str]] = {}
        for each in there:
            for record in each.records:
                rows.setdefault(_version(record, what), []).append(f"{each.name} {record.seed}")
        if len(rows) > 1:
            parts = "; ".join(f"{version}: {', '.join(names)}" for version, names in rows.items())
            yield f"Rows (name, seed) were made with different {what}: {parts}."


def _version(record: RowRecord, what: str) -> str:
    values: dict[str, Any] = {**record.provenance.get("packages", {}), **record.provenance}
    return str(values.get(what, "unknown"))


def _origins(there: Sequence[_Finished]) -> Table:
    """Seed, seconds, versions and key of every training."""
    header = ("row", "seed", "training (s)", "prediction (s)", "evaluation (s)", "Voxseed", "PyTorch", "device", "key")
    rows = []
    for each in there:
        for record in each.records:
            seconds = (
                f"{record.seconds[part]:.1f}" if part in record.seconds else ""
                for part in ("training", "prediction", "evaluation")
            )
            versions = (_version(record, what) for what in ("voxseed", "torch", "device"))
            rows.append((each.name, str(record.seed), *seconds, *versions, record.key.digest[:8]))
    return Table(header, tuple(rows))


def _settings_text(record: RowRecord) -> str:
    """What was asked for and, below `plan`, what followed from it and the data."""
    shown = {**record.key.settings, "starts_from": record.key.starts_from, "plan": record.provenance.get("plan", {})}
    return yaml.safe_dump(shown, sort_keys=False)


def _simulated(row: Row) -> str:
    return ", ".join(f"{key} {value}" for key, value in row.simulated.items())


def _on_simulated_axes(table: Definition) -> set[str]:
    """Rows on lines of the figure along which simulated annotations differ; a set of somebody's has no place there."""
    panels = table.figure.panels if table.figure else ()
    lines = [line for panel in panels for line in panel.lines.values()]
    return {name for line in lines if any(table.rows[row].simulated for row in line) for name in line}


def _figure(planner: Planner, there: Sequence[_Finished], rows: Sequence[ResultRow], theme: Theme) -> bytes:
    """Curves over what the table varies, or the Dice of every row; of the mean over classes where there are several."""
    figure = planner.table.figure
    if figure is None:
        return intervals_png({row.marked_title: _estimate(row, "dice") for row in rows}, TITLES["dice"], theme)
    unplaced = {each.name for each in there if each.is_given} & _on_simulated_axes(planner.table)
    by_name = {row.name: row for row in rows if row.name not in unplaced}
    panels = {
        panel.axis: [
            _curve(name, metric, {value: by_name[row] for row, value in line.items() if row in by_name}, figure.metrics)
            for name, line in panel.lines.items()
            for metric in figure.metrics
        ]
        for panel in figure.panels
    }
    return sweep_png(panels, ", ".join(TITLES[metric] for metric in figure.metrics), theme)


def _curve(name: str, metric: str, rows: dict[float, ResultRow], metrics: Sequence[str]) -> Curve:
    values = tuple(sorted(rows))
    title = f"{name}, {TITLES[metric]}" if len(metrics) > 1 else name
    if any(row.oracle for row in rows.values()):
        title += ORACLE_MARK
    return Curve(title, values, tuple(_estimate(rows[value], metric) for value in values))


def _estimate(row: ResultRow, metric: str) -> Estimate:
    return summarise_repeats(row.repeats, (metric,))[-1].estimates[metric]


def _overlays(
    planner: Planner, there: Sequence[_Finished], rows: Sequence[ResultRow]
) -> tuple[dict[str, Picture], tuple[str, ...]]:
    """Pictures of all rows on a median and on the hardest case, by mean Dice over rows; or a sentence on why not."""
    dice = [_dice_by_case(row.repeats) for row in rows]
    ranked = sorted(planner.order.cases, key=lambda case: np.mean([each[case] for each in dice]))
    try:
        return {
            kind: _overlay(planner, there, rows, ranked[place], kind)
            for kind, place in (("median", len(ranked) // 2), ("hard", 0))
        }, ()
    except InputError as error:
        return {}, (f"No pictures: {error}",)


def _overlay(planner: Planner, there: Sequence[_Finished], rows: Sequence[ResultRow], case: str, kind: str) -> Picture:
    data = planner.order.data
    image = data.read_image(case)
    predictions: dict[str, Volume] = {}
    for each, row in zip(there, rows, strict=True):
        drawn = each.planned[0]
        path = drawn.folder.predictions / f"{case}{data.file_ending}"
        prediction, label = read_pair(CasePair(case, path, data.label_path(case)), data.labels)
        dice = _dice_by_case({drawn.seed: row.repeats[drawn.seed]})[case]
        predictions[f"{row.marked_title}: {dice:.3f}"] = prediction
    channel = shown_channel(image, label)
    png = overlay_rows_png(Volume(image.array[channel], image.affine), predictions, label)
    shown = f"{case} on {data.channel_names[channel]}"
    title = f"{kind.capitalize()} case: {shown}, with outlines and Dice of the first seed of every row"
    return Picture(title, png, f"Axial plane of case {case} with the outlines of label and prediction, once per row")


def _dice_by_case(repeats: Repeats) -> dict[str, float]:
    """Mean over seeds; with several classes of the mean over them."""
    means = case_means(repeats, class_names(next(iter(repeats.values())))[-1], "dice")
    return {case: mean or 0.0 for case, mean in means.items()}


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
