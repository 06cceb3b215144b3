"""The rows that are missing, one after the other, each once, however many processes work on them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voxseed.benchmarks.records import RowRecord
from voxseed.errors import InputError, InterruptedRunError
from voxseed.training.plan import Plan, duration_text
from voxseed.workflows.benchmark_plan import Order, PlannedRow
from voxseed.workflows.benchmark_rows import make_row, what_is_there
from voxseed.workflows.shards import claimed

_POLL_SECONDS = 5.0


@dataclass
class Work:
    """Rows to make.

    Attributes:
        rows: with the order that each belongs to; a row comes after those that it starts from.
        say: called with a sentence before each row.
        after_row: called when a row is finished.
    """

    rows: Sequence[tuple[Order, PlannedRow]]
    say: Callable[[str], None]
    after_row: Callable[[], None]
    _failures: dict[Path, str] = field(default_factory=dict)
    _done: list[RowRecord] = field(default_factory=list)

    def finish(self) -> list[str]:
        """Make what is missing.

        Returns:
            A sentence for each row that could not be made.

        Raises:
            InterruptedRunError: on Ctrl-C.
        """
        waiting = deque(self._missing())
        total, busy = len(waiting), 0
        self.say(f"{len(self._done)} rows are there, {total} are missing")
        while waiting:
            order, planned = waiting.popleft()
            if self._failed_before(planned):
                continue
            lock = planned.folder.lock
            with claimed(lock.parent, lock.stem) as held:
                if not held or not _ready(planned):
                    waiting.append((order, planned))
                    busy += 1
                    if busy == len(waiting):
                        self.say("The other rows are being made by other processes; waiting for them")
                    if busy >= len(waiting):
                        time.sleep(_POLL_SECONDS)
                    continue
                busy = 0
                self._make(order, planned, total - len(waiting), total, [each.cost for _, each in waiting])
        return list(self._failures.values())

    def _missing(self) -> list[tuple[Order, PlannedRow]]:
        """Each row once, though several tables may have it; also a finished one whose run is gone and is needed."""
        rows: dict[Path, tuple[Order, PlannedRow]] = {}
        for order, planned in self.rows:
            rows.setdefault(planned.folder.path, (order, planned))
        records = {path: planned.folder.complete(planned.key) for path, (_, planned) in rows.items()}
        missing = {path for path, record in records.items() if record is None}
        for path, (_, planned) in reversed(rows.items()):  # those that need others first
            if path in missing:
                missing |= {each.folder.path for each in needed_rows(planned) if not each.folder.run.exists()}
        self._done += [record for path, record in records.items() if record is not None and path not in missing]
        return [row for path, row in rows.items() if path in missing]

    def _finished(self, planned: PlannedRow) -> RowRecord | None:
        """The record of a row that another process made since this one looked."""
        record = planned.folder.complete(planned.key)
        return record if planned.folder.run.exists() or not planned.trained else None

    def _make(self, order: Order, planned: PlannedRow, number: int, total: int, costs_after: Sequence[float]) -> None:
        record = self._finished(planned)
        if record is None:
            cost = planned.cost + sum(costs_after)
            rate = _seconds_per_cost(self._done)
            there = what_is_there(planned)
            self.say(
                f"[{number} of {total}] {planned.name}, seed {planned.seed}"
                + (f"; {there}" if there else "")
                + (f"; about {duration_text(rate * cost)} left" if rate is not None else "")
            )

            def on_plan(plan: Plan) -> None:
                if rate is None and planned.cost:
                    self.say(f"about {duration_text(plan.seconds / planned.cost * cost)} for all rows")

            try:
                record = make_row(order, planned, on_plan)
            except InputError as error:
                sentence = f"{planned.name}, seed {planned.seed}: {error}"
                self.say(sentence)  # now too: the end may be hours away
                self._failures[planned.folder.path] = sentence
                return
            except (KeyboardInterrupt, InterruptedRunError):
                raise InterruptedRunError(
                    "Interrupted; finished rows are kept, and of the others everything up to the last finished epoch. "
                    "Go on with the same command."
                ) from None
        self._done.append(record)
        self.after_row()

    def _failed_before(self, planned: PlannedRow) -> bool:
        """Whether a row that this one needs could not be made; then this one cannot either."""
        failed = next((needed for needed in needed_rows(planned) if needed.folder.path in self._failures), None)
        if failed is not None:
            self._failures[planned.folder.path] = (
                f"{planned.name}, seed {planned.seed}: it needs {failed.name}, which could not be made."
            )
        return failed is not None


def needed_rows(planned: PlannedRow) -> list[PlannedRow]:
    """The rows whose runs a row needs."""
    return [*(other for other, _ in planned.start_from.values()), *([planned.run_of] if planned.run_of else [])]


def _ready(planned: PlannedRow) -> bool:
    return all(
        needed.folder.complete(needed.key) is not None and needed.folder.run.exists() for needed in needed_rows(planned)
    )


def _seconds_per_cost(done: Sequence[RowRecord]) -> float | None:
    """What a unit of work took so far, prediction and evaluation included."""
    trained = [record for record in done if record.cost]
    cost = sum(record.cost for record in trained)
    return sum(sum(record.seconds.values()) for record in trained) / cost if cost else None
