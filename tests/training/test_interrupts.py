"""A process that is told to stop ends in time, whatever it waits for."""

import signal
import subprocess
import sys

import pytest

BLOCKED = """
import ctypes, sys
from voxseed.training.interrupts import stops_in_time
libc, mutex, told = ctypes.CDLL(None), ctypes.create_string_buffer(128), False
with stops_in_time({grace}):
    libc.pthread_mutex_lock(mutex)
    while True:
        try:
            if not told:
                told = True
                print("ready", flush=True)
            libc.pthread_mutex_lock(mutex)  # for ever, and no signal is heard in it
        except KeyboardInterrupt:  # heard before
            pass
"""
# Short sleeps: a signal that comes just before a sleep is heard only after it.
LISTENING = """
import time
from voxseed.training.interrupts import stops_in_time
try:
    with stops_in_time(30):
        print("ready", flush=True)
        for _ in range(600):
            time.sleep(0.1)
except KeyboardInterrupt:
    print("interrupted")
"""
DONE = """
import time
from voxseed.training.interrupts import stops_in_time
with stops_in_time(0.1):
    pass
try:
    print("ready", flush=True)
    for _ in range(600):
        time.sleep(0.1)
except KeyboardInterrupt:
    time.sleep(0.5)
    print("not ended")
"""


def _told(script: str, number: signal.Signals) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        # a shell's background jobs do not hear Ctrl-C, nor do the processes that tests there start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize(
    ("script", "number", "expected"),
    [
        (BLOCKED.format(grace=0.2), signal.SIGINT, (3, "")),
        (BLOCKED.format(grace=0.2), signal.SIGTERM, (3, "")),
        (LISTENING, signal.SIGTERM, (0, "interrupted\n")),
        (DONE, signal.SIGINT, (0, "not ended\n")),
    ],
    ids=["blocked, Ctrl-C", "blocked, SIGTERM", "listening, SIGTERM", "done before"],
)
def test_a_process_that_is_told_to_stop_ends_in_time(script, number, expected):
    assert _told(script, number) == expected
