"""What a person does with the app: opens it, gets pages, watches, taps, leaves, comes back.

Time is compressed: a person "watches" a 30 s video in some 50 ms. `event_time` stays the wall clock (the live path is
real time); `watch_ms` and `duration_ms` are simulated. Who reacts how to which video follows from the seed alone.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from foryou.simulator.catalogue import Catalogue, Event
from foryou.simulator.mischief import Rates, pack
from foryou.simulator.phone import Item, Page, Phone
from foryou.simulator.population import Population
from foryou.simulator.reactions import Reaction, draws, react
from foryou.simulator.truth import Truth, weariness
from foryou.simulator.words import HOMES, THINGS

COMPRESSION = 600  # simulated ms of watching per ms of wall clock
STRANGER_JOY = 0.3  # of a video that is not in the simulator's catalogue
HEARTBEAT_MS = 10_000  # a video watched for longer reports on the way
ITEMS_PER_POST = 4
NETWORKS = ("wifi", "wifi", "wifi", "5g", "5g", "4g", "3g")
DEVICES = (
    ("Pixel 9", "android 16"),
    ("Galaxy A16", "android 15"),
    ("iPhone 15", "ios 19.1"),
    ("Redmi 14", "android 15"),
)


@dataclass(frozen=True)
class World:
    """All that the simulator knows, the truth included."""

    catalogue: Catalogue
    population: Population
    truth: Truth


@dataclass(frozen=True)
class Clock:
    """Wall time in UTC ms and how to let it pass; tests bring their own."""

    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Watched:
    """One line of the diary: who saw what, on which page of theirs, with what true enjoyment."""

    person: int
    page: int
    row: int
    joy: float
    liked: bool
    skipped: bool


@dataclass
class Diary:
    """What only the simulator may read."""

    watched: list[Watched] = field(default_factory=list)
    strangers: int = 0
    pages: int = 0
    visits: int = 0


@dataclass
class Session:
    """One visit: its id, the running number, the genre streak."""

    session_id: str
    seq: int = 0
    streak: int = 0
    genre: str | None = None

    def weary_of(self, genre: str | None) -> float:
        """Counts one more video of `genre`; the factor on its enjoyment."""
        self.streak = self.streak + 1 if genre == self.genre else 1
        self.genre = genre
        return weariness(self.streak)


class Person:
    """One simulated person with a phone."""

    def __init__(
        self, row: int, seed: int, world: World, phone: Phone, clock: Clock, diary: Diary, rates: Rates
    ) -> None:
        self.row = row
        self.user_id = world.population.user_id(row)
        self._seed = seed
        self._world = world
        self._phone = phone
        self._clock = clock
        self._diary = diary
        self._rates = rates
        self._rng = draws(seed, "life", row)
        self._ids = draws(seed, "ids", row)
        self._pages = 0
        device, os = self._rng.choice(DEVICES)
        region, language, _ = HOMES[world.population.home[row]]
        self._context = {
            "device": device,
            "os": os,
            "app_version": "4.2.0",
            "locale": f"{language}-{region}",
            "region": region,
        }

    async def live(self, until_ms: int, spread_s: float, away_s: float, page_size: int, gap_s: float) -> None:
        """Comes within `spread_s`, visits, stays away for about `away_s`, comes back, until the time is up."""
        await self._clock.sleep(self._rng.random() * spread_s)
        away_until_ms = 0.0
        while away_until_ms < until_ms:
            await self.visit(until_ms, page_size, gap_s)
            away = self._rng.expovariate(self._world.population.activity[self.row] / away_s)
            away_until_ms = self._clock.now_ms() + away * 1_000
            if away_until_ms < until_ms:
                await self._clock.sleep(away)

    async def visit(self, until_ms: int, page_size: int, gap_s: float) -> None:
        """One visit: pages until bored."""
        session = Session(self._new_id())
        self._diary.visits += 1
        context = self._context | {"network": self._rng.choice(NETWORKS)}
        await self._send([self._event(session, "app_open", context=context, startup_ms=self._rng.randint(150, 900))])
        while self._clock.now_ms() < until_ms:
            page = await self._phone.feed(self.user_id, page_size)
            if not page.items:
                break
            self._diary.pages += 1
            self._pages += 1
            joy = await self._watch_page(session, page)
            if self._rng.random() < 0.08:
                await self._send(self._search(session))
            if self._rng.random() < 0.45 - 0.4 * joy:
                break
            await self._clock.sleep(gap_s)
        await self._send([self._event(session, "app_close")])

    async def _watch_page(self, session: Session, page: Page) -> float:
        """Watches a page; the mean enjoyment. Events go out a few videos at a time, as from a phone that batches."""
        joys: list[float] = []
        waiting: list[Event] = []
        for number, item in enumerate(page.items):
            joy, reaction, duration_ms = self._react(session, item)
            joys.append(joy)
            await self._clock.sleep(0.005 + reaction.watch_ms / COMPRESSION / 1_000)
            waiting += self._tell(session, page, item, reaction, duration_ms)
            if number % ITEMS_PER_POST == ITEMS_PER_POST - 1:
                await self._send(waiting)
                waiting = []
        await self._send(waiting)
        return float(np.mean(joys))

    def _react(self, session: Session, item: Item) -> tuple[float, Reaction, int]:
        catalogue = self._world.catalogue
        row = catalogue.row_of(item.video_id)
        rng = draws(self._seed, "reaction", self.row, item.video_id)
        factor = session.weary_of(item.category)
        if row is None:
            self._diary.strangers += 1
            duration_ms = item.duration_ms or 15_000
            return STRANGER_JOY, react(STRANGER_JOY, duration_ms, rng), duration_ms
        joy = float(self._world.truth.enjoyment(self.row, np.array([row]))[0]) * factor
        duration_ms = int(catalogue.duration_ms[row])
        reaction = react(joy, duration_ms, rng)
        self._diary.watched.append(Watched(self.row, self._pages, row, joy, reaction.like, reaction.skipped))
        return joy, reaction, duration_ms

    def _tell(self, session: Session, page: Page, item: Item, reaction: Reaction, duration_ms: int) -> list[Event]:
        """The events of one watched item, in order."""
        where = {
            "video_id": item.video_id,
            "impression_id": item.impression_id,
            "request_id": page.request_id,
            "position": item.position,
        }

        def event(event_type: str, **more: object) -> Event:
            return self._event(session, event_type, **where, **more)

        told = [event("impression"), event("play_start", duration_ms=duration_ms, startup_ms=reaction.startup_ms)]
        if reaction.watch_ms > HEARTBEAT_MS:
            told.append(event("play_progress", watch_ms=reaction.watch_ms // 2, duration_ms=duration_ms))
        told.append(event("view_end", watch_ms=reaction.watch_ms, duration_ms=duration_ms, loops=reaction.loops))
        told += [event(name) for name in ("like", "unlike", "share", "not_interested") if getattr(reaction, name)]
        if reaction.comment_length:
            told.append(event("comment", text_length=reaction.comment_length))
        if reaction.visit or reaction.follow:
            told.append(event("profile_visit", target_user_id=item.creator_id))
        if reaction.follow:
            told.append(event("follow", target_user_id=item.creator_id))
        if reaction.hide_creator:
            told.append(event("hide_creator", target_user_id=item.creator_id))
        return told

    def _search(self, session: Session) -> list[Event]:
        """Searches for something of the favourite genre and taps a result."""
        genre = self._world.truth.favourite(self.row)
        found = self._world.catalogue.of_genre(genre)
        query = self._rng.choice(THINGS[genre])
        row = int(found[self._rng.randrange(len(found))])
        return [
            self._event(session, "search", query=query),
            self._event(session, "search_click", query=query, video_id=self._world.catalogue.video_id[row]),
        ]

    def _event(self, session: Session, event_type: str, **fields: object) -> Event:
        event: Event = {
            "event_id": self._new_id(),
            "event_type": event_type,
            "event_time": self._clock.now_ms(),
            "user_id": self.user_id,
            "device_id": f"d-{self.user_id}",
            "session_id": session.session_id,
            "seq": session.seq,
            **fields,
        }
        session.seq += 1
        return event

    async def _send(self, events: list[Event]) -> None:
        now_ms = self._clock.now_ms()
        stamped = [event | {"sent_at": now_ms} for event in events]
        await self._phone.send(pack(stamped, now_ms, self._rates, self._rng))

    def _new_id(self) -> str:
        return seeded_uuid7(self._clock.now_ms(), self._ids)


def seeded_uuid7(now_ms: int, rng: random.Random) -> str:
    """A UUIDv7 whose random part comes from the seed, so that a run can be replayed to the byte."""
    value = now_ms << 80 | rng.getrandbits(80)
    value = value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
