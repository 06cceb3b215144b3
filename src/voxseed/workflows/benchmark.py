"""Benchmark: a table of methods on a dataset, from missing annotations to figures; what is done is not done again."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from voxseed.benchmarks.case_digests import CaseDigests
from voxseed.benchmarks.catalogue import chosen_tables
from voxseed.benchmarks.definitions import Row, Table
from voxseed.data.cache import CACHE_VARIABLE
from voxseed.data.datasets import Dataset
from voxseed.devices import resolve_device
from voxseed.errors import InputError, UnknownNameError
from voxseed.workflows.benchmark_annotations import Annotations
from voxseed.workflows.benchmark_plan import Order, Planner, measured_cases
from voxseed.workflows.benchmark_results import WrittenTable, write_results, write_texts
from voxseed.workflows.benchmark_work import Work


def benchmark(
    table: str,
    data: str | Path,
    out: str | Path,
    *,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    seeds: int = 1,
    rows: Sequence[str] = (),
    baseline: str | None = None,
    protocol: str | None = None,
    annotations: str | Path | None = None,
    inside_points: int | None = None,
    measured_on: str | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[WrittenTable]:
    """Train and measure the rows of a table that are missing, and write it.

    Each row and seed has a folder of its own in OUT/rows, whose name and record follow from all settings that it
    reads, the data and the code: a row is taken if they are the same, wherever it was made, and made again if not.
    Several processes may work on the same folder at once; each takes rows that no other works on.

    Args:
        table: a name, `all`, or a file that ends in .yaml.
        data: dataset with dense labels of the measured cases, and of all cases where annotations are simulated.
        out: folder for rows, simulated annotation sets, cache and tables.
        preset, overrides: settings of all rows, each on top of the one before; a row's own come last.
        seeds: trainings per row, with seeds 0, 1, ….
        rows: names of the rows to make; all if not given. The table shows all that are there.
        baseline: row that the others are tested against; the table's if not given.
        protocol: of the annotations, in place of the table's. The dataset's set of that name is taken, or simulated.
        annotations: name or path of a set that is taken instead.
        inside_points: per object, of simulated points.
        measured_on: test or validation cases; the table's if not given.
        device: auto, cpu or cuda.
        cache: folder for preprocessed cases; $VOXSEED_CACHE or OUT/cache if not given.
        say: called with a sentence before each step.

    Returns:
        The tables that were written.

    Raises:
        UnknownNameError: if a table, row, method, network or protocol is not known; nothing is made then.
        InputError: before anything is made, if data or settings cannot be used; in the end, if rows could not be
            made, and then it names them, and the tables show the others.
        InterruptedRunError: on Ctrl-C; the same command goes on.
    """
    _require_known(chosen_tables(table, protocol), rows, baseline)
    planners = table_planners(
        table,
        data,
        out,
        preset=preset,
        overrides=overrides,
        protocol=protocol,
        annotations=annotations,
        inside_points=inside_points,
        measured_on=measured_on,
        device=device,
        cache=cache,
    )
    chosen = {name: _chosen_rows(planner.table, rows) for name, planner in planners.items()}
    for name, planner in planners.items():
        for row in chosen[name]:
            planner.check(row)
    say(f"Reading {data}; annotations that are missing are simulated")
    planned = [
        (planner.order, planner.plan(row, seed))
        for seed in range(seeds)
        for name, planner in planners.items()
        for row in chosen[name]
        if _is_made(planner.table.rows[row], seed)
    ]

    def write() -> None:
        for name, planner in planners.items():
            write_texts(name, planner, baseline)

    failures = Work(planned, say, after_row=write).finish()
    tables_written = [write_results(name, planner, baseline) for name, planner in planners.items()]
    written = [each for each in tables_written if each is not None]
    if failures:
        raise InputError(
            "\n".join([f"{len(failures)} rows could not be made; the tables in {out} show the others.", *failures])
        )
    return written


def table_planners(
    table: str,
    data: str | Path,
    out: str | Path,
    *,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    protocol: str | None = None,
    annotations: str | Path | None = None,
    inside_points: int | None = None,
    measured_on: str | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
) -> dict[str, Planner]:
    """Name → what plans the rows of a table. Arguments are as in `benchmark`; nothing is written.

    Raises:
        UnknownNameError: if there is no such table.
        InputError: if the data or the device cannot be used, or arguments contradict each other.
    """
    if annotations is not None and inside_points is not None:
        raise InputError("--inside-points is for points that are simulated, and --annotations names a set. Give one.")
    tables, out, source = chosen_tables(table, protocol), Path(out), Dataset.open(data)
    digests = CaseDigests(source)
    sets = Annotations(source, digests, out / "annotations", annotations, inside_points)
    device_type = resolve_device(device).type

    def order_of(each: Table) -> Order:
        on = measured_on or each.measured_on
        return Order(
            data=source,
            out=out,
            annotations=sets,
            digests=digests,
            protocol=protocol or each.protocol,
            measured_on=on,
            cases=measured_cases(source, on),
            preset=preset,
            overrides=tuple(overrides),
            device=device,
            device_type=device_type,
            cache=Path(cache or os.environ.get(CACHE_VARIABLE) or out / "cache"),
        )

    return {name: Planner(order_of(each), each) for name, each in tables.items()}


def _chosen_rows(table: Table, names: Sequence[str]) -> tuple[str, ...]:
    """The rows of these names, or all that are shown, and what they start from."""
    shown = tuple(name for name, row in table.rows.items() if row.shown)
    return table.with_needed(tuple(name for name in table.rows if name in names) if names else shown)


def _is_made(row: Row, seed: int) -> bool:
    """Whether a row is made here; what grows from annotations is the same with every seed."""
    return row.made_by is None and (seed == 0 or not row.pseudo_label)


def _require_known(tables: Mapping[str, Table], rows: Sequence[str], baseline: str | None) -> None:
    """Check that every row that is named is in one of the tables."""
    known = list(dict.fromkeys(name for table in tables.values() for name in table.rows))
    for option, names in (("--rows", rows), ("--baseline", [baseline] if baseline else [])):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UnknownNameError(f"{option} {unknown[0]}: unknown row. Known: {', '.join(known)}.")
