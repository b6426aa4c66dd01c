"""A plain file or RocksDB for the collector's log: writers of 512 bytes that wait until it is durable (ADR 0015).

    python -m bench.intake_log [--seconds 1]

Both get one thread that takes all that waits and makes it durable with one call, as foryou.collector.log.disk_log does;
RocksDB also as its own writers share a sync ("each"). Prints the median of five rounds: writes per second, and the wait
of a writer.
"""

import argparse
import os
import queue
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from foryou.collector.log.frames import frame
from foryou.service.settings import REPO

PAYLOAD = os.urandom(492)  # with its head, 512
ROUNDS = 5
ZEROED_BYTES = 32 << 20
Commit = Callable[[list[bytes]], None]


def plain_file(folder: Path) -> Commit:
    """Append and sync in one call."""
    file, marker, at = os.open(folder / "log", os.O_WRONLY | os.O_CREAT), os.urandom(8), 0

    def commit(batch: list[bytes]) -> None:
        nonlocal at
        at += os.pwritev(file, [b"".join(frame(marker, n, each) for n, each in enumerate(batch))], at, os.RWF_DSYNC)

    return commit


def zeroed_file(folder: Path) -> Commit:
    """The same in a file whose bytes are there already: a sync has no size to write down."""
    with (folder / "log").open("wb") as file:
        file.write(bytes(ZEROED_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return plain_file(folder)


def rocks(folder: Path) -> Commit:
    """One write batch, its WAL synced."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    db = Rdict(str(folder / "rocks"), options, access_type=AccessType.read_write())
    synced, number = WriteOptions(), 0
    synced.sync = True

    def commit(batch: list[bytes]) -> None:
        nonlocal number
        if len(batch) == 1:
            number += 1
            db.put(number.to_bytes(8, "big"), batch[0], write_opt=synced)
            return
        writes = WriteBatch(raw_mode=True)
        for each in batch:
            number += 1
            writes.put(number.to_bytes(8, "big"), each)
        db.write(writes, synced)

    return commit


def measure(commit: Commit, writers: int, seconds: float, *, grouped: bool) -> tuple[float, float, float]:
    """Writes per second, and p50 and p99 of a writer's wait in ms."""
    waiting: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
    times: list[list[float]] = [[] for _ in range(writers)]
    end = time.perf_counter() + seconds

    def group() -> None:
        while (first := waiting.get()) is not None:
            batch = [first, *(each for _ in range(waiting.qsize()) if (each := waiting.get()) is not None)]
            commit([PAYLOAD] * len(batch))
            for each in batch:
                each.set()

    def write(number: int) -> None:
        while (begin := time.perf_counter()) < end:
            if grouped:
                done = threading.Event()
                waiting.put(done)
                done.wait()
            else:
                commit([PAYLOAD])
            times[number].append(time.perf_counter() - begin)

    grouping = threading.Thread(target=group)
    grouping.start()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    waiting.put(None)
    grouping.join()
    every = sorted(one for of in times for one in of)
    return len(every) / seconds, every[len(every) // 2] * 1e3, every[int(len(every) * 0.99)] * 1e3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    asked = parser.parse_args()
    place = REPO / ".cache"
    place.mkdir(exist_ok=True)
    table = Table(
        title=f"512-byte writes, durable before they return (median of {ROUNDS} rounds of {asked.seconds:g} s)",
        title_justify="left",
    )
    for name in ("log", "writers", "writes/s", "p50 ms", "p99 ms"):
        table.add_column(name, justify="left" if name == "log" else "right")
    logs = (
        ("file", plain_file, True),
        ("file of zeros", zeroed_file, True),
        ("rocksdict", rocks, True),
        ("rocksdict, each", rocks, False),
    )
    for writers in (1, 4, 16, 64):
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name, _, _ in logs}
        for _ in range(ROUNDS):  # by turns: the disk has good and bad minutes
            for name, make, grouped in logs:
                folder = Path(tempfile.mkdtemp(prefix="log-", dir=place))
                found[name].append(measure(make(folder), writers, asked.seconds, grouped=grouped))
                shutil.rmtree(folder, ignore_errors=True)
        for name, rounds in found.items():
            rate, p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
            table.add_row(name, f"{writers}", f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
