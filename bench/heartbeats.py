"""What a watched minute costs: heartbeats at a steady rate through a running stack, and each part's processor time.

    python -m bench.heartbeats --rate 1000 --seconds 30

reads FORYOU_HOME and FORYOU_PORT_OFFSET as the stack does, which must be up. A viewer sends a heartbeat for every 10 s
that a play was watched; six of them stand for a minute. The load is open loop. Each part's processor time (with its
children's) is taken over the load and some seconds more; what it takes while nothing happens, measured before, is told
and taken off. Before that the same load runs unmeasured: Java compiles in the first minute. Exits 1 if the load could
not be kept up, or if a viewer's watch time, read through Feast, is not what was sent, to the ms.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from foryou.cli.feature_reader import FeatureReader
from foryou.cli.simulate import Stack, StackDown, answers, bars, ensure_catalogue, remembered
from foryou.contract.ids import uuid7
from foryou.local.home import Home
from foryou.local.state import load
from foryou.service.settings import Settings
from foryou.simulator.catalogue import Catalogue, Event
from foryou.simulator.load import Outcome, offer

BEAT_MS = 10_000  # of watching, from one heartbeat to the next
BEATS_PER_PLAY = 6
SETTLE_S = 8.0  # day tiles are gathered for 5 s
KEPT_UP = 0.99
CHECKED = 25  # viewers whose watch time is read
PATH = ("collector", "forwarder", "kafka", "taskmanager", "store")  # a heartbeat's own way; the rest is told as one


class Viewers:
    """Viewers in turn, each with a play under way: what they send, and what their watch time must come to."""

    def __init__(self, catalogue: Catalogue, count: int, name: str) -> None:
        self._videos, self._count, self._name = catalogue.video_id, count, name
        self._sent = 0

    def viewer(self, number: int) -> str:
        """The user id of a viewer."""
        return f"{self._name}-{number % self._count}"

    def heartbeats(self, count: int, now_ms: int) -> list[Event]:
        """The next `count` heartbeats, one of each viewer in turn."""
        found = [self._heartbeat(self._sent + each, now_ms) for each in range(count)]
        self._sent += count
        return found

    def _heartbeat(self, number: int, now_ms: int) -> Event:
        viewer, beat = number % self._count, number // self._count
        play, within = divmod(beat, BEATS_PER_PLAY)
        return {
            "event_id": uuid7(now_ms),
            "event_type": "play_progress",
            "event_time": now_ms,
            "sent_at": now_ms,
            "user_id": self.viewer(viewer),
            "session_id": f"s-{self._name}-{viewer}",
            "seq": beat,
            "video_id": self._videos[(viewer * 7 + play) % len(self._videos)],
            "impression_id": f"{self._name}-{viewer}-{play}",
            "watch_ms": (within + 1) * BEAT_MS,
            "duration_ms": BEATS_PER_PLAY * BEAT_MS,
        }

    def watch_ms(self, viewer: int) -> int:
        """What a viewer has watched by now: every heartbeat stands for as long as the last one."""
        return len(range(viewer, self._sent, self._count)) * BEAT_MS


@dataclass(frozen=True)
class Spent:
    """Processor seconds by part: over the load, and what the same time takes without it."""

    load: Mapping[str, float]
    idle: Mapping[str, float]

    def above(self, name: str) -> float:
        """Of one part, what the load took."""
        return self.load[name] - self.idle[name]


@dataclass(frozen=True)
class Found:
    """What a bench found."""

    outcome: Outcome
    seconds: float  # measured: the load and the settling
    spent: Spent
    wrong: list[str]  # viewers whose watch time is not what was sent


def processor_seconds(settings: Settings) -> dict[str, float]:
    """By part: user and system time of its process and all that it started, s."""
    state, found = load(Home(settings.home).state), {}
    for name, part in (state.parts if state else {}).items():
        if part.pid is None:
            continue
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(part.pid)
            times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
            found[name] = sum(each.user + each.system for each in times)
    return found


async def measure(stack: Stack, rate: float, seconds: float, warm_up: float, batch: int, viewers: int) -> Found:
    """Loads the stack. Raises StackDown, OSError."""
    await answers(stack, "collector", "store")
    now_ms, known = time.time_ns() // 1_000_000, remembered(stack.memory())
    with bars(Console(stderr=True)) as progress:
        seed, size = (known.seed, known.size) if known else (1, 10_000)
        catalogue, _ = await ensure_catalogue(stack, seed, size, now_ms, progress)
    watching = Viewers(catalogue, viewers, f"beat{now_ms}")
    async with stack.door("collector", 32) as door, stack.door("store", 1) as store:
        if warm_up:
            await offer(door, rate, warm_up, watching.heartbeats, batch)
            await asyncio.sleep(SETTLE_S)
        resting, idle_s = processor_seconds(stack.settings), max(10.0, seconds / 2)
        await asyncio.sleep(idle_s)
        before, begin = processor_seconds(stack.settings), time.perf_counter()
        outcome = await offer(door, rate, seconds, watching.heartbeats, batch)
        await asyncio.sleep(SETTLE_S)
        after, took = processor_seconds(stack.settings), time.perf_counter() - begin
        wrong = await _wrong(FeatureReader(store, stack.app_id), stack, watching, viewers)
    parts = sorted(resting.keys() & before.keys() & after.keys())
    idle = {name: (before[name] - resting[name]) / idle_s * took for name in parts}
    return Found(outcome, took, Spent({name: after[name] - before[name] for name in parts}, idle), wrong)


async def _wrong(reader: FeatureReader, stack: Stack, watching: Viewers, viewers: int) -> list[str]:
    """Some viewers' watch time as Feast serves it, where it is not what they sent."""
    identity, found = stack.settings.secrets().identity, []
    for viewer in range(0, viewers, max(1, viewers // CHECKED)):
        key = identity.user_key(stack.app_id, watching.viewer(viewer))
        read = await reader.of_user(key, ["user_activity_v1:watch_ms_1h"])
        sent = watching.watch_ms(viewer)
        if (read["watch_ms_1h"] or 0) != sent:
            found.append(f"{watching.viewer(viewer)} watched {sent} ms, Feast says {read['watch_ms_1h']}")
    return found


def complaints(found: Found, offered: float) -> list[str]:
    """What is wrong, in words; nothing when the figures may be believed."""
    said = list(found.wrong[:3])
    if found.outcome.accepted < KEPT_UP * offered:
        said.append(f"{found.outcome.accepted:,} of {offered:,.0f} offered heartbeats were accepted")
    return said + [each for each in (found.outcome.first_failure,) if each]


def table(found: Found) -> Table:
    """By part: s of processor, µs a heartbeat, ms a watched minute."""
    beats = max(1, found.outcome.accepted)
    minutes = beats * BEAT_MS / 60_000
    shown = Table(title=f"{beats:,} heartbeats, {minutes:,.0f} watched minutes")
    for name in ("part", "idle, % of a core", "CPU s", "CPU s above idle", "µs a heartbeat", "ms a watched minute"):
        shown.add_column(name, justify="left" if name == "part" else "right")
    groups = {name: [name] for name in PATH if name in found.spent.load}
    groups["the rest"] = [name for name in found.spent.load if name not in PATH]
    groups["all"] = list(found.spent.load)
    for title, names in groups.items():
        idle, spent = (sum(of[name] for name in names) for of in (found.spent.idle, found.spent.load))
        above = spent - idle
        shown.add_row(
            title,
            f"{idle / found.seconds * 100:.1f}",
            f"{spent:.2f}",
            f"{above:.2f}",
            f"{above / beats * 1e6:.0f}",
            f"{above / minutes * 1e3:.2f}",
            end_section=title == "the rest",
        )
    return shown


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1_000, help="heartbeats per second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--warm-up", type=float, default=60, help="seconds of the same load before it, not measured")
    parser.add_argument("--batch", type=int, default=1, help="heartbeats to a post; a phone sends one")
    parser.add_argument("--viewers", type=int, default=10_000)
    asked = parser.parse_args()
    console = Console()
    console.print("python -m bench.heartbeats " + " ".join(sys.argv[1:]))
    stack = Stack.of(Settings.load(os.environ))
    try:
        found = uvloop.run(measure(stack, asked.rate, asked.seconds, asked.warm_up, asked.batch, asked.viewers))
    except StackDown as error:
        sys.exit(str(error))
    console.print(table(found))
    said = complaints(found, asked.rate * asked.seconds)
    for each in said:
        print(f"FAILED: {each}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
