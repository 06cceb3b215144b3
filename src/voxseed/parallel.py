"""Work on many cases at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from voxseed.devices import available_cores
from voxseed.progress import track

T = TypeVar("T")
R = TypeVar("R")


def map_in_threads(
    function: Callable[[T], R], items: Sequence[T], description: str, most_threads: int | None = None
) -> list[R]:
    """What `function` gives for every item, in their order, showing progress.

    Reading, array work, compiled code and tree search leave Python's lock, and a script that calls this needs no main
    guard as processes would.

    Args:
        function: called in several threads.
        items: what it is called with.
        description: for the progress bar.
        most_threads: where every item takes much memory; as many as there are cores if not given.

    Raises:
        Exception: the first that `function` raises; items that have not begun by then are left.
    """
    threads = min(available_cores(), most_threads or available_cores())
    with ThreadPoolExecutor(threads) as executor:
        try:
            return list(track(executor.map(function, items), description, len(items)))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
