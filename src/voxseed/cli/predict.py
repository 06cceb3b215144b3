"""The command `voxseed predict`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Device
from voxseed.cli.output import print_line


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run, or a folder with a model.")],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images, folders of images, datasets.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the label maps.")],
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Write probability maps too.")] = False,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Mean of all networks of the run.")] = False,
    samples: Annotated[
        int, typer.Option("--samples", min=0, help="Mean of so many random passes of a random network.")
    ] = 0,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Write where samples, or the networks of the run, disagree.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Predict label maps on the grids of the given images."""
    from voxseed.workflows import predict as workflow

    written = workflow.predict(
        run,
        inputs,
        out,
        probabilities=probabilities,
        ensemble=ensemble,
        samples=samples,
        uncertainty=uncertainty,
        device=device,
    )
    print_line(f"{len(written)} prediction{'' if len(written) == 1 else 's'} in {out}.")
