"""The command `voxseed expand`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Annotations, Config, DatasetPath, Overrides, Preset, ShardOption
from voxseed.cli.output import print_line, print_table
from voxseed.shell import voxseed_command


def expand(
    dataset: DatasetPath,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new dataset.")],
    annotations: Annotations = None,
    preset: Preset = None,
    config: Config = None,
    set_: Overrides = None,
    kind: Annotated[str, typer.Option(help="partial, with an ignore label; or probability, with maps.")] = "partial",
    sigma_mm: Annotated[
        float | None, typer.Option(help="Of scattered points; from their spacing if not given.")
    ] = None,
    shard: ShardOption = None,
) -> None:
    """Grow annotations into supervision and write it as an nnU-Net dataset."""
    from voxseed.training.settings import load_run_settings
    from voxseed.workflows import expand as workflow

    overrides = [*(set_ or []), *([] if sigma_mm is None else [f"expansion.probability.sigma_mm={sigma_mm}"])]
    settings = load_run_settings(preset, config, overrides).expansion
    summary = workflow.expand(dataset, annotations, settings, out, kind=kind, shard=shard)
    print_table(summary.header(), summary.rows())
    if summary.missing:
        print_line(f"{summary.missing} cases are left to other jobs; {out} is a dataset when all are complete.")
        return
    print_line(f"Supervision: {out}. Train on it as it is: with nnU-Net, or {voxseed_command('train', out)}")
