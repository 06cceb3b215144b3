"""Work on many cases at a time."""

import time

import pytest

from voxseed.parallel import map_in_threads
from voxseed.progress import shown_by


@pytest.mark.parametrize("most_threads", [1, 2, None])
def test_results_come_in_the_order_of_their_items(most_threads):
    def work(item: int) -> int:
        time.sleep(0.02 * item)  # the first item takes longest
        return 10 * item

    assert map_in_threads(work, [3, 1, 2, 0], "Counting", most_threads) == [30, 10, 20, 0]


def test_the_first_error_ends_it():
    done = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("case 1")
        done.append(item)

    with pytest.raises(ValueError, match="case 1"):
        map_in_threads(work, range(100), "Counting", most_threads=1)
    assert len(done) < 100


def test_progress_is_shown():
    shown = []

    def display(items, description, total):
        shown.append((description, total))
        yield from items

    with shown_by(display):
        map_in_threads(str, [1, 2], "Counting")
    assert shown == [("Counting", 2)]
