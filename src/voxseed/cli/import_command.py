"""The command `voxseed dataset import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxseed.cli.output import print_line, print_table
from voxseed.shell import voxseed_command

if TYPE_CHECKING:
    from voxseed.workflows.import_plan import ImportPlan


def import_dataset(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SRC...", help="NIfTI, NRRD, MetaImage or DICOM files or folders; MSD, BIDS, nnU-Net."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new dataset.")],
    classes: Annotated[
        str, typer.Option(metavar="A,B", help="Foreground classes; not needed for MSD and nnU-Net.")
    ] = "",
    channels: Annotated[str, typer.Option(metavar="A,B", help="In order. Found by name, or by number (_0000).")] = "",
    series: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Which DICOM series (description) or BIDS files (name) to use.")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Hard links instead of copies where nothing changes.")] = False,
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="case_001 …, headers without names; the key goes to DIR-key.csv.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the table and stop.")] = False,
) -> None:
    """Make a dataset of your images; the table of what it will hold comes first."""
    from voxseed.workflows import import_dataset as workflow

    dataset = workflow.import_dataset(
        sources,
        out,
        _listed(classes),
        channels=_listed(channels),
        series=series,
        link=link,
        pseudonymise=pseudonymise,
        dry_run=dry_run,
        show=_print_plan,
    )
    if dataset is None:
        print_line(
            "Nothing was written. Only headers were read: damage further on is found when this becomes a dataset, "
            "without --dry-run."
        )
        return
    print_line(f"Dataset: {dataset.root}. Check it: {voxseed_command('dataset', 'check', dataset.root)}")
    if pseudonymise:
        print_line(f"Which case is which: {out}-key.csv. Keep it apart from the dataset.")


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []


def _print_plan(plan: "ImportPlan") -> None:
    print_table(plan.header(), plan.rows())
    print_line()
    for note in plan.notes:
        print_line(note)
    print_line(f"Channels: {', '.join(plan.channel_names)}. Labels: {dict(plan.labels)}. Files: *{plan.file_ending}.")
