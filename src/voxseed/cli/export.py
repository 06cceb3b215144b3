"""The command `voxseed export`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Annotations
from voxseed.cli.output import print_line


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run, or a folder with a model.")],
    out: Annotated[Path, typer.Option("--out", help="The new folder.")],
    format_: Annotated[str, typer.Option("--format", help="bundle (MONAI), onnx, or nnunet.")],
    member: Annotated[str | None, typer.Option(help="For bundle and onnx: which network of the run.")] = None,
    dataset: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For nnunet: what the run was trained on.")
    ] = None,
    annotations: Annotations = None,
) -> None:
    """Export the model as a MONAI bundle or ONNX file, or the dataset with its supervision for nnU-Net."""
    from voxseed.workflows import export as workflow

    written = workflow.export(run, out, format_, member=member, dataset=dataset, annotations=annotations)
    print_line(f"Exported: {written}")
