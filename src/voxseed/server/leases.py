"""One writer per case: the tab that opened it, until it leaves, falls silent, or another takes over."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from voxseed.errors import InputError

SILENCE_SECONDS = 40.0
"""A tab that has not been heard of for so long is taken for closed; pages call every 10 seconds."""


class TakenError(InputError):
    """Another tab writes to this case."""


@dataclass(frozen=True)
class _Lease:
    client: str
    heard_of: float


class Leases:
    """Who writes to which case.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._leases: dict[str, _Lease] = {}

    def claim(self, case: str, client: str, take_over: bool = False) -> None:
        """Make a client the writer of a case, or prolong that.

        Raises:
            TakenError: if another one is, unless `take_over`.
        """
        with self._lock:
            if not take_over:
                self._require_free(case, client)
            self._leases[case] = _Lease(client, self._clock())

    def release(self, case: str, client: str) -> None:
        """Let others write to a case, if the client could."""
        with self._lock:
            lease = self._leases.get(case)
            if lease is not None and lease.client == client:
                del self._leases[case]

    def _require_free(self, case: str, client: str) -> None:
        lease = self._leases.get(case)
        if lease is None or lease.client == client or self._clock() - lease.heard_of > SILENCE_SECONDS:
            return
        raise TakenError(
            f"Case {case} is open in another tab, which can write to it. Go on there, close it, or take over here."
        )
