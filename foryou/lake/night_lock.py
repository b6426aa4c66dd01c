"""One night at a time on one lake, and which one it is."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from foryou.lake.tables import Lake

ENDING_S = 5.0  # what a night that is done may take to be gone
KILLED_S = 60.0  # what the Spark of one that was killed may: it runs when the processors are idle, and so it ends


@contextmanager
def alone(lake: Lake, span: tuple[date, date]) -> Iterator[int]:
    """Yields the lock's file descriptor. The night's Spark inherits that: when `foryou nightly` is killed, others are
    kept out until its Spark has ended, too. Raises BlockingIOError."""
    lake.runs.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with (lake.runs / ".lock").open("a") as lock:  # what the holder wrote stays until the lock is ours
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                who = under_way(lake) or "it has just ended"
                if time.monotonic() - begin > (ENDING_S if _lives(who) else KILLED_S):
                    told = f"Another nightly run works on this lake ({who}): wait for it, or end it."
                    raise BlockingIOError(told) from None
                time.sleep(0.1)
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, {' to '.join(dict.fromkeys(map(str, span)))}")
        lock.flush()
        yield lock.fileno()


def _lives(who: str) -> bool:
    """Whether the `foryou nightly` that took the lock is there, and not its Spark alone."""
    found = re.match(r"pid (\d+),", who)
    try:
        return found is not None and Path(f"/proc/{found[1]}/cmdline").read_bytes() != b""  # b"": ended, not waited for
    except OSError:
        return False


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
