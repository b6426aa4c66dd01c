"""The demonstration: the whole loop once, on a stack that is up, and what came of it as a Report."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import psutil
from rich.progress import Progress

from foryou.cli.feature_reader import FeatureReader
from foryou.cli.probes import Arrive, NotThere, TenLikes, catalogue_is_blended, freshness, ten_likes
from foryou.cli.report import Latencies, Report, counts_of
from foryou.cli.simulate import CATALOGUE_SEED, Stack, ensure_catalogue, tick, world_of
from foryou.cli.topic_ends import Ends, counted, ends, metric
from foryou.local.home import Home
from foryou.local.state import load
from foryou.service.settings import Settings
from foryou.simulator.arms import compare
from foryou.simulator.catalogue import SIZE, Catalogue
from foryou.simulator.people import Diary, World
from foryou.simulator.percentiles import percentiles
from foryou.simulator.phone import HttpPhone
from foryou.simulator.population import choose
from foryou.simulator.run import Plan, arrive, live
from foryou.simulator.tally import Counted, Lanes, Others, Tally, equations
from foryou.simulator.wire import Door

T = TypeVar("T")

FRESH_ENOUGH_MS = 1_000
SETTLE_S = 30.0
WARM_UP_S = 15.0  # fresh JVMs compile; at most a quarter of the people's time
CATALOGUE_S = 180.0


@dataclass(frozen=True)
class Ask:
    """What a demo was asked to do."""

    people: int
    seconds: float
    seed: int
    rate: float
    videos: int

    @property
    def command(self) -> str:
        """The command that asks the same again."""
        told = f"foryou demo --people {self.people} --seconds {self.seconds:g} --seed {self.seed} --rate {self.rate:g}"
        return told if self.videos == SIZE else f"{told} --videos {self.videos}"


@dataclass(frozen=True)
class Doors:
    """The three doors of the stack that a demo knocks at."""

    collector: Door
    ranker: Door
    store: Door


class Stopwatch:
    """Seconds of each step, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    async def of(self, name: str, step: Coroutine[Any, Any, T]) -> T:
        """Awaits a step and remembers how long it took."""
        begin = time.perf_counter()
        result = await step
        self.seconds[name] = time.perf_counter() - begin
        return result


@dataclass(frozen=True)
class Evening:
    """What the people's time brought, before the books are closed."""

    diary: Diary
    freshness_ms: list[float]
    likes: TenLikes


async def demonstrate(stack: Stack, ask: Ask, progress: Progress) -> Report:
    """The demo on a stack that is up. Raises NotThere, PublishFailed, FeaturesUnreadable, KafkaException, OSError."""
    began, watch, tally = datetime.now(UTC), Stopwatch(), Tally()
    async with AsyncExitStack() as exits:
        doors = Doors(*[await exits.enter_async_context(stack.door(name)) for name in ("collector", "ranker", "store")])
        phone = HttpPhone(doors.collector, doors.ranker, tally)
        visitors = Arrive(
            stack.settings.secrets().identity, stack.app_id, phone, FeatureReader(doors.store, stack.app_id)
        )
        publishing = ensure_catalogue(stack, CATALOGUE_SEED, ask.videos, time.time_ns() // 1_000_000, progress)
        catalogue, _ = await watch.of("publish the catalogue", publishing)
        world = world_of(catalogue)
        books = Books(stack.settings.kafka, doors.collector)
        await books.open()
        await watch.of("ranker has the catalogue", ranker_has(doors.ranker, catalogue, progress))
        await watch.of("Flink has the catalogue", catalogue_is_blended(visitors, catalogue))
        evening = await watch.of("people live", spend(world, ask, doors, phone, visitors, progress))
        heard, lanes = await watch.of("close the books", books.close(progress))
    return Report(
        command=ask.command,
        began=began.isoformat(timespec="seconds"),
        seconds=watch.seconds,
        videos=len(catalogue),
        people=ask.people,
        visits=evening.diary.visits,
        pages=evening.diary.pages,
        watched=len(evening.diary.watched) + evening.diary.strangers,
        counts=counts_of(tally, lanes),
        books=equations(tally, heard, lanes),
        others=Others.beside(tally, heard),
        latencies=Latencies(tally.acks(), percentiles(evening.freshness_ms), tally.feeds()),
        fallbacks=tally.fallbacks,
        ten_likes=evening.likes,
        arms=compare(world, evening.diary.watched, ask.seed),
        memory_mb=memory_mb(stack.settings),
        addresses=addresses(stack.settings),
        trouble=trouble(tally, evening),
        warnings=[*warnings(tally, evening), *books.restless()],
        warm_up_s=warm_up_s(ask.seconds),
    )


async def spend(
    world: World, ask: Ask, doors: Doors, phone: HttpPhone, visitors: Arrive, progress: Progress
) -> Evening:
    """People arrive and live, a probe measures freshness beside them; then a stranger likes ten videos."""
    people = choose(world.population, ask.people, ask.seed)
    await arrive(world, people, doors.collector, phone, time.time_ns() // 1_000_000)
    bar = progress.add_task("people live (seconds)", total=int(ask.seconds))
    ticking = asyncio.create_task(tick(progress, bar, ask.seconds))
    until = time.monotonic() + ask.seconds

    async def measure() -> list[float]:
        await asyncio.sleep(warm_up_s(ask.seconds))
        phone.tally.forget_latencies()
        return await freshness(visitors("freshness-probe"), world.catalogue, until)

    measuring = asyncio.create_task(measure())
    diary = await live(world, people, ask.seed, phone, Plan(seconds=ask.seconds, rate=ask.rate))
    found = await measuring
    ticking.cancel()
    progress.update(bar, completed=int(ask.seconds))
    return Evening(diary, found, await ten_likes(visitors("stranger"), world.catalogue))


def warm_up_s(seconds: float) -> float:
    """How much of the people's time goes by before latencies are taken."""
    return min(WARM_UP_S, seconds / 4)


def trouble(tally: Tally, evening: Evening) -> list[str]:
    """What must not have happened, in words."""
    found = []
    if tally.first_failure:
        found.append(f"first failure: {tally.first_failure}")
    if tally.unsure:
        found.append(f"{tally.unsure:,} events were sent without an answer: the books may differ by as many")
    if tally.feed_failures:
        found.append(f"{tally.feed_failures:,} feeds were not answered")
    likes = evening.likes
    if likes.fallback is None and likes.share(likes.after) <= likes.share(likes.before):
        found.append("ten likes in a category did not bring more of it to the next page")
    return found


NOT_PERSONALISED = "not_personalised"  # what one in twenty of the made-up people chose: no fault of the machine


def warnings(tally: Tally, evening: Evening) -> list[str]:
    """What a machine with nothing else to do would not show, in words."""
    found = [
        f"{count:,} feeds were answered by a fallback: {name}"
        for name, count in tally.fallbacks.items()
        if name != NOT_PERSONALISED
    ]
    if evening.likes.fallback is not None:
        found.append(f"the page after ten likes was answered by a fallback, which knows none: {evening.likes.fallback}")
    if percentiles(evening.freshness_ms).p99 > FRESH_ENOUGH_MS:
        found.append(f"the p99 of freshness is over {FRESH_ENOUGH_MS} ms")
    return found


async def ranker_has(ranker: Door, catalogue: Catalogue, progress: Progress) -> None:
    """Returns when the ranker can show every allowed video. Raises NotThere."""
    wanted = len(catalogue) - int(catalogue.blocked.sum())
    bar = progress.add_task("ranker reads the catalogue", total=wanted)
    give_up = time.monotonic() + CATALOGUE_S
    have = 0
    while time.monotonic() < give_up:
        have = int(await metric(ranker, "foryou_ranker_catalogue_videos"))
        progress.update(bar, completed=min(have, wanted))
        if have >= wanted:
            return
        await asyncio.sleep(0.25)
    raise NotThere(f"the ranker has {have:,} of {wanted:,} videos after {CATALOGUE_S:.0f} s")


class Books:
    """What the collector counted and the topics gained, from a quiet moment to one at which both agree."""

    def __init__(self, bootstrap: str, collector: Door) -> None:
        self._bootstrap = bootstrap
        self._collector = collector
        self._quiet = True

    async def open(self, seconds: float = SETTLE_S) -> None:
        """Begins once nothing has moved for a second, or as it is after `seconds`."""
        give_up = time.monotonic() + seconds
        self._before = await self._look()
        while time.monotonic() < give_up:
            await asyncio.sleep(1.0)
            now = await self._look()
            if now == self._before:
                return
            self._before = now
        self._quiet = False

    async def close(self, progress: Progress, seconds: float = SETTLE_S) -> tuple[Counted, Lanes]:
        """What came since, once all that the collector accepted is in Kafka and has its verdict, or as it is after
        `seconds`."""
        bar = progress.add_task("closing the books", total=None)
        give_up = time.monotonic() + seconds
        last: Counted | None = None
        while True:
            counted_now, ends_now = await self._look()
            heard, lanes = counted_now.since(self._before[0]), ends_now.since(self._before[1])
            progress.update(bar, total=heard.accepted, completed=lanes.judged)
            if (heard.accepted, heard.accepted, heard.letters) == (lanes.accepted, lanes.judged, lanes.rejected):
                return heard, lanes
            if time.monotonic() > give_up:
                self._quiet = self._quiet and last in (None, heard)
                return heard, lanes
            last = heard
            await asyncio.sleep(0.25)

    def restless(self) -> list[str]:
        """A sentence, where somebody went on posting while the books were opened or closed."""
        told = (
            "somebody posted all the while that the books were opened or closed: what an equation is off by may be on"
        )
        return [] if self._quiet else [f"{told} its way. `foryou demo` again, when nobody else posts, tells it exactly"]

    async def _look(self) -> tuple[Counted, Ends]:
        return await counted(self._collector), await asyncio.to_thread(ends, self._bootstrap)


def memory_mb(settings: Settings) -> dict[str, float]:
    """Resident MiB by part, children included; what has no living process is left out."""
    state = load(Home(settings.home).state)
    found: dict[str, float] = {}
    if state is None:
        return found
    pids = {name: part.pid for name, part in state.parts.items() if part.pid is not None}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            found[name] = sum(each.memory_info().rss for each in family) / 2**20
    with contextlib.suppress(psutil.NoSuchProcess):
        found["supervisor"] = psutil.Process(state.supervisor.pid).memory_info().rss / 2**20
    return found


def addresses(settings: Settings) -> dict[str, str]:
    """Where the parts listen, by name."""
    state = load(Home(settings.home).state)
    return {part.name: part.address for part in state.parts.values()} if state else {}
