"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DatasetPath = Annotated[Path, typer.Argument(metavar="DIR", help="Dataset in the nnU-Net raw layout.")]
Annotations = Annotated[
    str | None, typer.Option("--annotations", metavar="SET", help="Name or path of an annotation set.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting.")]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="See voxseed list presets.")]
Config = Annotated[Path | None, typer.Option("--config", metavar="YAML", help="Settings file, such as a run's.")]
