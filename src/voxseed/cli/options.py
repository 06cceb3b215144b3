"""Arguments that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from voxseed.errors import InputError

DatasetPath = Annotated[Path, typer.Argument(metavar="DIR", help="Dataset in the nnU-Net raw layout.")]
IntoDataset = Annotated[Path, typer.Option("--into", metavar="DIR", help="Dataset in the nnU-Net raw layout.")]
NewSetName = Annotated[str | None, typer.Option("--set-name", help="Of the new set; the protocol's if not given.")]
NewSetOut = Annotated[Path | None, typer.Option("--out", help="Folder of the new set, where the dataset is read-only.")]
Annotations = Annotated[
    str | None, typer.Option("--annotations", metavar="SET", help="Name or path of an annotation set.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting.")]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="See voxseed list presets.")]
ShardOption = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Do the I-th of N parts, or what is left of it.")
]
Config = Annotated[Path | None, typer.Option("--config", metavar="YAML", help="Settings file, such as a run's.")]


def pairs(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    """`["a=b", "c=d"]` as a dictionary.

    Raises:
        InputError: if a word has no "=" or nothing on a side of it, or the left side occurs twice.
    """
    found: dict[str, str] = {}
    for word in words:
        left, _, right = word.partition("=")
        if not left or not right or left in found:
            raise InputError(f"{option} {word}: expected {form}, each {form.partition('=')[0]} once.")
        found[left] = right
    return found
