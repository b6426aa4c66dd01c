"""A night over five million events on a live stack: seconds and memory of every step, and DuckDB on the same rows.

    python -m bench.night [--days 1] [--events 5000000] [--keep | --again]
    python -m bench.night --load      1,000 live events/s before and beside it, and freshness, minute by minute

In a home of its own (.cache/bench-night), on ports of its own, ended and removed afterwards. The events are the
simulator's history; they come in by `foryou import`, so parity has nothing to compare (`make drill` has).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench.night_in_duckdb import NightInDuckDB
from foryou.lake import days, night
from foryou.lake.tables import Lake
from foryou.local import lifecycle
from foryou.service.settings import REPO, Settings
from foryou.simulator.history import Plan, write_history

HOME = REPO / ".cache" / "bench-night"
OFFSET = "1700"
UP_S, BUDGET_S = 300.0, 480.0
MORE, MOST = 1.02, 1.05  # than the events asked for: what is aimed at, and what is taken
LOAD = ("--rate", "1000", "--seconds", "60", "--bound-ms", "2000")
BY_DUCKDB = ("silver", "tiles")


class Watched:
    """The most memory that a process and its children hold at one moment, bytes, looked at every half second."""

    def __init__(self, pid: int) -> None:
        self.most, self._process, self._over = 0, psutil.Process(pid), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            resident = 0
            try:
                for each in (self._process, *self._process.children(recursive=True)):
                    resident += each.memory_info().rss
            except psutil.Error:
                continue  # one of them ended meanwhile
            self.most = max(self.most, resident)

    def done(self) -> int:
        """Ends the watch."""
        self._over.set()
        self._thread.join()
        return self.most


def main() -> int:
    """Prints a table; 1 when the night took longer than its budget, or DuckDB found another answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--events", type=int, default=5_000_000, help="at least so many, and hardly more")
    parser.add_argument("--people", type=int, default=27_000)
    parser.add_argument("--visits", type=float, default=1.7, help="a day, of the most active; scaled to the events")
    parser.add_argument("--videos", type=int, default=50_000)
    parser.add_argument("--memory", default="4g", help="of the Spark driver")
    parser.add_argument("--load", action="store_true", help="measure freshness beside it instead of its seconds")
    parser.add_argument("--keep", action="store_true", help="leave the home there")
    parser.add_argument("--again", action="store_true", help="over the history in the home that --keep left")
    asked = parser.parse_args()
    console, environ = Console(), os.environ | {"FORYOU_HOME": str(HOME), "FORYOU_PORT_OFFSET": OFFSET}
    settings = Settings.load(environ)
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=asked.days)
    lifecycle.stop(settings)
    if asked.again:
        forget_all_but_history()
    else:
        shutil.rmtree(HOME, ignore_errors=True)
    settings.secrets()  # people's ids become keys by this home's secret
    try:
        with console.status("history"):
            events = events_made() if asked.again else bring_in(environ, last, asked)
        with console.status("the stack"), up(settings, environ):
            seconds, most, fresh = run(environ, first, last, asked)
        if asked.load:
            return 0 if fresh else 1
        return report(console, settings, events, seconds, most, (first, last))
    finally:
        if not asked.keep:
            shutil.rmtree(HOME, ignore_errors=True)


def bring_in(environ: dict[str, str], last: date, asked: argparse.Namespace) -> int:
    """Makes history and imports it; returns how many events there are."""
    plan = Plan(
        until_ms=days.start_of(last + timedelta(days=1)),
        weeks=asked.days / 7,
        people=asked.people,
        videos=asked.videos,
        visits=asked.visits,
    )
    write_history(HOME / "past", plan)
    while not asked.events <= (made := events_made()) <= MOST * asked.events:
        # People do not visit alike on every day of the week.
        plan = replace(plan, visits=MORE * plan.visits * asked.events / made)
        shutil.rmtree(HOME / "past")
        write_history(HOME / "past", plan)
    files = [str(path) for path in sorted((HOME / "past").glob("*.parquet"))]
    foryou(environ, "import", *files)
    return made


def forget_all_but_history() -> None:
    """Empties the home: what was imported stays, and is to be taken again."""
    lake = Lake(HOME / "lake")
    for path in (*HOME.iterdir(), *lake.root.iterdir()):
        if path not in (HOME / "past", HOME / "secrets", lake.root, lake.inbox, lake.schemas):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for taken in lake.inbox.glob("*/.taken"):
        taken.unlink()


def events_made() -> int:
    """How many events the history in the home has: what people did, and whom they followed before."""
    told = json.loads((HOME / "past" / "history.json").read_text("utf-8"))
    rows: int = pq.read_metadata(HOME / "past" / "people.parquet").num_rows
    return int(told["events"]) + rows - int(told["plan"]["people"])


def foryou(environ: dict[str, str], *arguments: str) -> None:
    """Runs the CLI; its output is for failures only."""
    done = subprocess.run(
        [Path(sys.executable).parent / "foryou", *arguments], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])


@contextmanager
def up(settings: Settings, environ: dict[str, str]) -> Iterator[None]:
    """The stack, for a while."""
    lifecycle.start(settings, environ)
    try:
        state = lifecycle.wait_ready(settings, UP_S)
        if state is None or not state.ready:
            sys.exit("the stack did not come up; its logs are in .cache/bench-night/logs")
        yield
    finally:
        lifecycle.stop(settings)


def run(environ: dict[str, str], first: date, last: date, asked: argparse.Namespace) -> tuple[float, int, bool]:
    """The night; returns its seconds on the clock, the most memory it had, whether features were fresh beside it."""
    command = [str(Path(sys.executable).parent / "foryou"), "nightly", "--from", f"{first}", "--to", f"{last}"]
    live = [sys.executable, "-m", "bench.freshness", *LOAD]
    if asked.load:
        print("before the night, not judged (Java compiles):", flush=True)
        subprocess.run(live, env=environ, check=False, cwd=REPO)
    begin, fresh = time.monotonic(), True
    process = subprocess.Popen([*command, "--memory", asked.memory], env=environ)
    watched = Watched(process.pid)
    while asked.load and process.poll() is None:
        told = subprocess.run(live, env=environ, check=False, cwd=REPO)
        fresh &= told.returncode == 0
    if process.wait():
        sys.exit("the night failed")
    return time.monotonic() - begin, watched.done(), fresh


def report(
    console: Console, settings: Settings, events: int, seconds: float, most: int, span: tuple[date, date]
) -> int:
    """Prints what was measured."""
    lake = Lake(settings.home / "lake")
    tonight = night.load(lake.runs, *span)
    assert tonight is not None
    begin = time.monotonic()
    peer = NightInDuckDB(lake, HOME / "duckdb")
    with console.status("DuckDB"):
        peer.make()
    peers = time.monotonic() - begin
    ours = sum(tonight.done[name].seconds for name in BY_DUCKDB)
    table = Table("step", "s", "rows", title=f"{events:,} events, {span[0]} to {span[1]}")
    for name, done in tonight.done.items():
        table.add_row(name, f"{done.seconds:.0f}", f"{done.wrote.get('rows', 0):,}")
    table.add_row("all", f"{seconds:.0f}", f"most memory {most / 1024**3:.1f} GiB")
    console.print(table)
    console.print(f"DuckDB, from silver's rows to the same clean rows and tiles: {peers:.0f} s")
    console.print(f"silver and tiles, from Avro: {ours:.0f} s, {ours / peers:.1f} times as long")
    equal = True
    with console.status("comparing the tiles"):
        for each in peer.compare():
            equal &= each.only_in_spark == each.only_in_duckdb == 0
            console.print(
                f"  {each.view}: {each.tiles:,} tiles, {each.only_in_spark} only in Spark, "
                f"{each.only_in_duckdb} only in DuckDB"
            )
    return 0 if equal and seconds <= BUDGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
