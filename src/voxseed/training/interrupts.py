"""Leaving in time when several processes are told to stop.

A process that waits for another one does so outside Python, where Ctrl-C is not heard; and the other may be gone. So a
thread listens too, and ends the process some time after the signal, if it has not ended itself. Files are complete or
not there, so nothing is lost by that.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from voxseed.errors import InterruptedRunError

GRACE_SECONDS = 30.0
"""Job systems wait about so long before they kill."""


@contextmanager
def stops_in_time(grace_seconds: float = GRACE_SECONDS) -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, and end this process `grace_seconds` after either, whatever it waits for."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    heard, told = socket.socketpair()
    told.setblocking(False)
    wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    done = threading.Event()
    threading.Thread(target=_listen, args=(heard, done, grace_seconds), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        if sys.exc_info()[0] is None:
            done.set()
        told.close()


def _listen(heard: socket.socket, done: threading.Event, grace_seconds: float) -> None:
    with heard:
        while (number := heard.recv(1)) and number[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
    if not number:
        return
    if not done.wait(grace_seconds):
        sys.stderr.write("voxseed: Interrupted while waiting for other processes; --resume goes on.\n")
        os._exit(InterruptedRunError.exit_code)
