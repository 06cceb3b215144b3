"""The command `voxseed expand`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Annotations, Config, DatasetPath, Overrides, Preset, ShardOption
from voxseed.cli.output import print_line, print_table


def expand(
    dataset: DatasetPath,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new dataset.")],
    annotations: Annotations = None,
    preset: Preset = None,
    config: Config = None,
    set_: Overrides = None,
    shard: ShardOption = None,
) -> None:
    """Grow annotations into supervision and write it as an nnU-Net dataset with an ignore label."""
    from voxseed.training.settings import load_run_settings
    from voxseed.workflows import expand as workflow

    settings = load_run_settings(preset, config, set_ or []).expansion
    summary = workflow.expand(dataset, annotations, settings, out, shard=shard)
    print_table(summary.header(), summary.rows())
    if summary.missing:
        print_line(f"{summary.missing} cases are left to other jobs; {out} is a dataset when all are complete.")
        return
    print_line(f"Supervision: {out}. Train on it as it is: with nnU-Net, or voxseed train {out}")
