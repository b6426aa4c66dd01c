"""One night at a time on one lake, and which one it is."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from foryou.lake.tables import Lake

KILLED_S = 5.0  # what a Spark that was killed may take to be gone


@contextmanager
def alone(lake: Lake, span: tuple[date, date]) -> Iterator[int]:
    """Yields the lock's file descriptor. The night's Spark inherits that: when `foryou nightly` is killed, others are
    kept out until its Spark has ended, too. Raises BlockingIOError."""
    lake.runs.mkdir(parents=True, exist_ok=True)
    patience = time.monotonic() + KILLED_S
    with (lake.runs / ".lock").open("a") as lock:  # what the holder wrote stays until the lock is ours
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > patience:
                    who = under_way(lake) or "it has just ended"
                    told = f"Another nightly run works on this lake ({who}): wait for it, or end it."
                    raise BlockingIOError(told) from None
                time.sleep(0.1)
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, {' to '.join(dict.fromkeys(map(str, span)))}")
        lock.flush()
        yield lock.fileno()


def under_way(lake: Lake) -> str | None:
    """The night that runs now: its process and days. None when none does."""
    try:
        with (lake.runs / ".lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read() or "pid unknown"
    except FileNotFoundError:
        pass
    return None
