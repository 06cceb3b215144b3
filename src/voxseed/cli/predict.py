"""The command `voxseed predict`."""

from pathlib import Path
from typing import Annotated

import typer

from voxseed.cli.options import Device, ShardOption
from voxseed.cli.output import print_line, print_table

_WORST = 3
"""Cases that are named."""


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run, or a folder with a model.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Images, folders of images or DICOM series, datasets.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the label maps.")],
    format_: Annotated[
        str | None, typer.Option("--format", help="nifti, nrrd or dicom-seg; as the images if not given.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Which DICOM series to use, by description.")
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Write probability maps too.")] = False,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Mean of all networks of the run.")] = False,
    member: Annotated[
        str | None, typer.Option(metavar="NETWORK", help="One network of the run, such as auxiliary or axial.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=0, help="Mean of so many random passes of a random network.")
    ] = 0,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Write where samples, or the networks of the run, disagree.")
    ] = False,
    shard: ShardOption = None,
    device: Device = "auto",
) -> None:
    """Predict label maps on the grids of the given images, measure their volumes, and say which to distrust."""
    from voxseed.workflows import predict as workflow

    summary = workflow.predict(
        run,
        inputs,
        out,
        format=format_,
        series=series,
        probabilities=probabilities,
        ensemble=ensemble,
        member=member,
        samples=samples,
        uncertainty=uncertainty,
        shard=shard,
        device=device,
    )
    if summary.doubts:
        print_line("Distrust these; look at them before they are used:")
        print_table(("case", "class", "rule", "reason"), summary.rows())
        print_line()
    if len(summary.ranking) > 1:
        worst = ", ".join(f"{case} {value:.2f}" for case, value in summary.ranking[:_WORST])
        print_line(f"Lowest expected Dice: {worst}. All are in {out / 'quality.csv'}.")
    count = len(summary.written)
    print_line(f"{count} prediction{'' if count == 1 else 's'} in {out}.")
    if summary.complete or summary.elsewhere:
        print_line(f"{summary.complete} were there already, {summary.elsewhere} are being predicted by other jobs.")
