"""The command `voxseed benchmark`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Annotations, Device, Overrides, Preset
from voxseed.cli.output import print_line


def benchmark(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="See voxseed list tables; all; or a YAML file.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Dataset with dense labels.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for rows and tables.")],
    preset: Preset = None,
    set_: Overrides = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Short for --set training.iterations=N.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per row: seeds 0, 1, ….")] = 1,
    rows: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Make these rows alone; show all there are.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(metavar="ROW", help="That the others are tested against.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Of the annotations; simulated where the dataset has none.")
    ] = None,
    annotations: Annotations = None,
    inside_points: Annotated[int | None, typer.Option(min=1, help="Per object, of simulated points.")] = None,
    on: Annotated[str | None, typer.Option(help="Measure on test or validation cases.")] = None,
    device: Device = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder for preprocessed cases.")] = None,
) -> None:
    """Train and measure a table of methods; what is done is not done again."""
    from voxseed.workflows import benchmark as workflow

    written = workflow.benchmark(
        table,
        data,
        out,
        preset=preset,
        overrides=[*(set_ or []), *([f"training.iterations={iterations}"] if iterations else [])],
        seeds=seeds,
        rows=[name.strip() for name in rows.split(",") if name.strip()] if rows else (),
        baseline=baseline,
        protocol=protocol,
        annotations=annotations,
        inside_points=inside_points,
        measured_on=on,
        device=device,
        cache=cache,
        say=print_line,
    )
    for each in written:
        print_line(f"\n{each.text}\nPage: {each.page}")
