"""The command `voxseed train`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Annotations, Config, DatasetPath, Device, Overrides, Preset
from voxseed.cli.output import print_line, print_table
from voxseed.launch import launch_to_join
from voxseed.shell import voxseed_command


def train(
    dataset: DatasetPath,
    annotations: Annotations = None,
    method: Annotated[str, typer.Option(help="Recipe or method, see voxseed list methods.")] = "auto",
    run: Annotated[Path | None, typer.Option(help="Folder of the run; runs/DATASET-METHOD if not given.")] = None,
    preset: Preset = None,
    config: Config = None,
    set_: Overrides = None,
    fold: Annotated[int, typer.Option(min=0, help="Of splits.json.")] = 0,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="MEMBER=RUN:MEMBER", help="Start from a run's network; several may follow."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue, or start where there is nothing yet.")] = False,
    select: Annotated[str | None, typer.Option(help="last, or dense: best on validation cases' dense labels.")] = None,
    device: Device = "auto",
    devices: Annotated[
        int | None, typer.Option(min=1, help="Processes, one device each; 1, or what torchrun or srun started.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for preprocessed cases.")] = None,
) -> None:
    """Train from annotations: plan, cache, stages, model."""
    from voxseed.workflows import train as workflow

    overrides = [*(set_ or []), *([f"training.select={select}"] if select else [])]
    finished = workflow.train(
        dataset,
        annotations=annotations,
        method=method,
        run=run,
        preset=preset,
        config=config,
        overrides=overrides,
        fold=fold,
        start_from=start or [],
        resume=resume,
        device=device,
        devices=devices,
        cache=cache,
        on_plan=lambda plan: print_table(("plan", ""), plan.rows()),
    )
    launch = launch_to_join(devices)
    if launch is not None and launch.rank > 0:
        return
    following = voxseed_command("predict", finished, "IMAGES", "--out", "PREDICTIONS")
    print_line(f"Trained: {finished}. Predict with: {following}")
