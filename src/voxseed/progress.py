"""Progress of long work: silent unless somebody, such as the command line, shows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Display = Callable[[Iterable[Any], str, int | None], Iterator[Any]]


def _silent(items: Iterable[Any], description: str, total: int | None) -> Iterator[Any]:
    return iter(items)


_display: Display = _silent


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items`, showing how far it is where a display is installed."""
    return _display(items, description, total)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Install a display for the duration of the context."""
    global _display
    previous, _display = _display, display
    try:
        yield
    finally:
        _display = previous
