"""What the commands print: tables, sentences, progress."""

import logging
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import typer

from voxseed.progress import shown_by


def print_error(message: str) -> None:
    """One sentence on standard error."""
    typer.secho(f"voxseed: {message}", err=True, fg=typer.colors.RED)


def print_line(message: str = "") -> None:
    """A line on standard output."""
    typer.echo(message)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in plain text; columns of numbers are aligned to the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *lines]) for column in range(len(header))]
    right = [bool(lines) and all(_is_number(line[column]) for line in lines) for column in range(len(header))]
    for line in [list(header), *lines]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        print_line("  ".join(cells).rstrip())


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or cell[:1].isdigit() or (cell[:1] == "-" and cell[1:2].isdigit())


@contextmanager
def shown(progress: bool) -> Iterator[None]:
    """Show warnings while commands run, and progress bars, these on terminals only."""
    log, handler = logging.getLogger("voxseed"), _Warnings(logging.WARNING)
    log.addHandler(handler)
    try:
        if progress:
            with shown_by(_bar):
                yield
        else:
            yield
    finally:
        log.removeHandler(handler)


class _Warnings(logging.Handler):
    """Prints what is logged as a sentence on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(record.getMessage())


def _bar(items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as display:
        yield from display.track(items, total=total if total is not None else _length(items), description=description)


def _length(items: Iterable[Any]) -> int | None:
    return len(items) if isinstance(items, Sized) else None
