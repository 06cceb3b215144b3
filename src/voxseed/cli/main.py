"""The command line: parsing and printing only; every command calls one workflow."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from voxseed import __version__
from voxseed.cli import (
    annotate,
    benchmark,
    dataset,
    demo,
    doctor,
    evaluate,
    expand,
    export,
    listing,
    predict,
    report,
    review,
    settings,
    train,
)
from voxseed.cli.log_file import logged_to
from voxseed.cli.output import print_error, shown
from voxseed.errors import InputError, VoxseedError

app = typer.Typer(
    name="voxseed",
    help="Train 3D medical image segmentation from a few clicks per volume. For research, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dataset.app, name="dataset")
app.command("annotate")(annotate.annotate)
app.command("review")(review.review)
for command in (
    demo.demo,
    expand.expand,
    train.train,
    predict.predict,
    export.export,
    evaluate.evaluate,
    report.report,
    benchmark.benchmark,
):
    app.command()(command)
app.command("doctor")(doctor.doctor)
app.command("list")(listing.list_names)
app.command("settings")(settings.show_settings)

_GLOBAL_FLAGS = ("--quiet", "--debug")
_LOG_FILE = "--log-file"
_START = "--from"
_FURTHER_START = re.compile(r"\w[\w-]*=.+")
_INTERRUPTED = 130
"""Typer's exit code on Ctrl-C, where nothing can be resumed."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxseed {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars. Accepted anywhere on the line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks. Accepted anywhere on the line.")] = False,
    log_file: Annotated[
        Path | None, typer.Option(_LOG_FILE, help="Append what happens as JSON lines. Accepted anywhere on the line.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of all commands; `main` has read them before Typer does."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command `voxseed`; leaves with exit code 0, or that of the error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    flags = [flag for flag in _GLOBAL_FLAGS if flag in given]
    words = flags + [word for word in given if word not in _GLOBAL_FLAGS]
    try:
        log_file, words = _without_log_file(words)
        with shown(progress="--quiet" not in flags), logged_to(log_file, words):
            app(args=_each_start_with_its_option(words), prog_name="voxseed")
    except VoxseedError as error:
        if "--debug" in flags:
            raise
        print_error(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if "--debug" in flags:
            raise
        print_error(_refusal(error))
        sys.exit(InputError.exit_code)
    except SystemExit as leaving:
        if leaving.code == _INTERRUPTED:
            print_error("Interrupted.")
        raise


def _without_log_file(words: list[str]) -> tuple[Path | None, list[str]]:
    """The file that --log-file names, and the other words."""
    for index, word in enumerate(words):
        option, joined, value = word.partition("=")
        if option != _LOG_FILE:
            continue
        rest = words[:index] + words[index + (1 if joined else 2) :]
        named = value if joined else next(iter(words[index + 1 : index + 2]), "")
        if not named:
            raise InputError("--log-file: expected the name of a file, such as --log-file job.jsonl.")
        return Path(named), rest
    return None, words


def _each_start_with_its_option(words: list[str]) -> list[str]:
    """`--from a=RUN:a b=RUN:b` as `--from a=RUN:a --from b=RUN:b`, the one form that Typer reads."""
    told: list[str] = []
    for word in words:
        follows = told[-2:-1] == [_START] or (told[-1:] and told[-1].startswith(f"{_START}="))
        if follows and _FURTHER_START.fullmatch(word):
            told.append(_START)
        told.append(word)
    return told


def _refusal(error: OSError) -> str:
    """What the file system said, of a file that no workflow speaks for."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}. Check that the file is there, may be used and has room."
