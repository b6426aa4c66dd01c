"""A run: a catalogue published, accounts made, people let loose for a while at a bounded pace."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from foryou.contract.events import MAX_BATCH
from foryou.simulator.catalogue import Event
from foryou.simulator.mischief import Batch, Rates
from foryou.simulator.people import Clock, Diary, Person, World
from foryou.simulator.phone import Page, Phone, encoded, verdict
from foryou.simulator.population import follows
from foryou.simulator.wire import Door

Progress = Callable[[int], None]  # told how many more are done
WALL = Clock(now_ms=lambda: time.time_ns() // 1_000_000, sleep=asyncio.sleep)


class PublishFailed(Exception):
    """The collector refused or could not take what must be there before anybody can live."""


@dataclass
class Pace:
    """At most `rate` events per second over all phones, first come, first served; bursts of a quarter second pass."""

    rate: float
    _free_at: float = field(default_factory=time.monotonic)

    async def wait(self, events: int) -> None:
        """Returns when `events` more may go."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - 0.25) + events / self.rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


@dataclass(frozen=True)
class PacedPhone:
    """A phone that keeps to a common pace."""

    phone: Phone
    pace: Pace

    async def send(self, batch: Batch) -> None:
        """Waits for its turn, then sends."""
        await self.pace.wait(len(batch.events))
        await self.phone.send(batch)

    async def feed(self, user_id: str, limit: int) -> Page:
        """Asks at once."""
        return await self.phone.feed(user_id, limit)


@dataclass(frozen=True)
class Plan:
    """How long people live and how they come and go. Seconds are wall clock."""

    seconds: float
    rate: float = 400.0  # events per second, all people together
    spread_s: float = 5.0
    away_s: float = 6.0
    gap_s: float = 0.4  # between a page's last swipe and the next request
    page_size: int = 10
    rates: Rates = field(default_factory=Rates)


async def live(world: World, people: Iterable[int], seed: int, phone: Phone, plan: Plan, clock: Clock = WALL) -> Diary:
    """Lets people live; returns what they saw. Raises what a person's task raises."""
    diary = Diary()
    paced = PacedPhone(phone, Pace(plan.rate))
    until_ms = clock.now_ms() + int(plan.seconds * 1_000)
    async with asyncio.TaskGroup() as group:
        for row in people:
            person = Person(int(row), seed, world, paced, clock, diary, plan.rates)
            group.create_task(person.live(until_ms, plan.spread_s, plan.away_s, plan.page_size, plan.gap_s))
    return diary


def batches(events: Iterable[Event], size: int = MAX_BATCH) -> Iterator[list[Event]]:
    """Events in lists of at most `size`."""
    batch: list[Event] = []
    for event in events:
        batch.append(event)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def publish(
    door: Door, events: Iterable[Event], connections: int = 4, progress: Progress = lambda _: None
) -> int:
    """Posts events in big batches over several connections, each batch until it is taken. Returns how many were.

    Raises PublishFailed if one is refused, or if the collector takes nothing for a minute. A repeat is harmless.
    """
    source = batches(events)
    taken = 0

    async def worker() -> None:
        nonlocal taken
        for batch in source:
            await _until_taken(door, batch)
            taken += len(batch)
            progress(len(batch))

    workers = [asyncio.create_task(worker()) for _ in range(connections)]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            each.cancel()
    return taken


async def _until_taken(door: Door, batch: list[Event]) -> None:
    body = encoded(batch)
    give_up = time.monotonic() + 60
    while True:
        try:
            answer = await door.post("/v1/events", body)
        except OSError as error:
            said, wait_s = f"{type(error).__name__}: {error}", 1.0
        else:
            if answer.status not in (429, 503):
                accepted, rejected = verdict(answer, len(batch))
                if rejected or accepted != len(batch):
                    raise PublishFailed(f"the collector refused {rejected} of {len(batch)}: {answer.body[:400]!r}")
                return
            said, wait_s = f"{answer.status}", float(answer.headers.get("retry-after", "1"))
        if time.monotonic() > give_up:
            raise PublishFailed(f"the collector took nothing for a minute ({said})")
        await asyncio.sleep(wait_s)


async def arrive(world: World, people: Iterable[int], accounts: Door, phone: Phone, now_ms: int) -> None:
    """Makes the accounts, then lets everybody follow whom they follow from the start."""
    rows = [int(row) for row in people]
    await publish(accounts, (world.population.account_created(row, now_ms) for row in rows))
    followed = (event for row in rows for event in follows(world.population, world.catalogue, row, now_ms))
    for batch in batches(followed, 500):
        await phone.send(Batch(tuple(batch)))
