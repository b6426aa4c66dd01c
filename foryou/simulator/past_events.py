"""The events of a day's visits, in the app's own format, as one Arrow table; with what phones do wrong.

Codes and row numbers until the last step, where every text column is taken from the short list of its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.simulator.catalogue import HOUR_MS
from foryou.simulator.past_days import Day, Rows
from foryou.simulator.people import DEVICES, HEARTBEAT_MS, ITEMS_PER_POST, NETWORKS, World
from foryou.simulator.words import GENRES, HOMES, THINGS

TYPES = (
    *("app_open", "impression", "play_start", "play_progress", "view_end", "like", "unlike", "share", "comment"),
    *("not_interested", "profile_visit", "follow", "hide_creator", "search", "search_click", "app_close"),
)
CODE = {name: code for code, name in enumerate(TYPES)}
OF_A_VIEW = TYPES[1:13]
STEP_MS = 120  # between the taps after a video
APP_VERSION = "4.2.0"
NEVER = -1


@dataclass(frozen=True)
class Flaws:
    """What goes wrong, on purpose. Chances of a post: sent twice, lost; of an event: hours or days late; of a phone: a
    clock that is hours off."""

    twice: float = 0.02
    lost: float = 0.001
    hours_late: float = 0.002
    days_late: float = 0.003
    wrong_clock: float = 0.01


FLAWLESS = Flaws(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass
class Made:
    """What was made on purpose, counted. `late`: beyond the lateness bound, by whatever mischief, copies included."""

    events: int = 0
    twice: int = 0
    lost: int = 0
    hours_late: int = 0
    days_late: int = 0
    late: int = 0


@dataclass(frozen=True)
class Names:
    """The words that a table's text columns are taken from; `people`: by row, bots after the real ones."""

    world: World
    bots: int
    seed: int
    flaws: Flaws

    @cached_property
    def people(self) -> pa.Array:
        """Client ids."""
        population = self.world.population
        return pa.array([population.user_id(row) for row in range(len(population) + self.bots)])

    @cached_property
    def devices(self) -> pa.Array:
        """Ids of their phones."""
        return pa.array([f"d-{name}" for name in self.people.to_pylist()])

    @cached_property
    def videos(self) -> pa.Array:
        """Ids of the catalogue."""
        return pa.array(self.world.catalogue.video_id)

    @cached_property
    def creators(self) -> pa.Array:
        """Ids of the catalogue's creators."""
        return pa.array(self.world.catalogue.creator_id)

    @cached_property
    def own(self) -> Rows:
        """Each person's row among the creators, or −1."""
        found: Rows = pc.index_in(self.people, self.creators).fill_null(NEVER).to_numpy().astype(np.int64)
        return found

    @cached_property
    def clock_ms(self) -> Rows:
        """How far ahead each phone's clock is: a little, and for a few of them hours."""
        rng = np.random.default_rng([self.seed, 11])
        count = len(self.people)
        usual = rng.normal(0, 300, count)
        hours = rng.uniform(-20, 20, count) * HOUR_MS  # the contract takes a day ahead, and less than a day is not late
        wrong = rng.random(count) < self.flaws.wrong_clock
        wrong[len(self.world.population) :] = False
        return np.where(wrong, hours, usual).astype(np.int64)

    @cached_property
    def words(self) -> pa.Array:
        """What is searched for."""
        return pa.array([thing for genre in GENRES for thing in THINGS[genre]])

    @cached_property
    def contexts(self) -> pa.StructArray:
        """Every (home, device, network), in this order of digits."""
        rows = [
            {"network": network, "device": device, "os": os, "app_version": APP_VERSION}
            | {"locale": f"{language}-{region}", "region": region}
            for region, language, _ in HOMES
            for device, os in DEVICES
            for network in NETWORKS
        ]
        return pa.array(rows)

    @cached_property
    def phone(self) -> Rows:
        """Which device each person has."""
        return np.random.default_rng([self.seed, 12]).integers(0, len(DEVICES), len(self.people))


@dataclass(frozen=True)
class _Rows:
    """Events before they are sorted; `view`: row in Views or −1."""

    visit: Rows
    order: Rows  # within the visit
    post: Rows  # within the visit: what goes out together
    code: Rows
    at: Rows
    view: Rows
    video: Rows  # of a search_click; else −1


def table_of(day: Day, names: Names, rng: np.random.Generator, made: Made) -> pa.Table:
    """The day's events as they were received: duplicates, late ones, without the lost; by received_at."""
    rows = _sorted(_of_visits(day), _of_views(day, names), _of_searches(day))
    visits = day.visits
    count = len(rows.code)
    person = visits.person[rows.visit]
    first = np.flatnonzero(np.r_[True, rows.visit[1:] != rows.visit[:-1]]) if count else np.zeros(0, np.int64)
    seq = np.arange(count) - np.repeat(first, np.diff(np.r_[first, count]))
    begins = np.r_[True, (rows.visit[1:] != rows.visit[:-1]) | (rows.post[1:] != rows.post[:-1])][:count]
    post = np.cumsum(begins) - 1
    posts = int(post[-1]) + 1 if count else 0
    sent = np.maximum.reduceat(rows.at, np.flatnonzero(begins))[post] + 40 if count else rows.at
    received = sent + rng.lognormal(np.log(90), 0.6, posts).astype(np.int64)[post]
    waits, kept, again = _flaws(count, posts, post, names.flaws, rng, made)
    received, sent = received + waits, sent + waits
    take = np.concatenate([kept, again])
    late_copy = np.r_[np.zeros(len(kept), np.int64), rng.integers(1_000, 30_000, len(again))]
    received = received[take] + late_copy
    table = pa.table(_columns(rows, day, names, person, seq, sent, rng)).take(pa.array(take))
    made.events += len(take)
    made.late += int((received - table["event_time"].to_numpy() > LATENESS_BOUND_MS).sum())
    return table.append_column("received_at", pa.array(received)).take(pa.array(np.argsort(received, kind="stable")))


def _flaws(
    count: int, posts: int, post: Rows, flaws: Flaws, rng: np.random.Generator, made: Made
) -> tuple[Rows, Rows, Rows]:
    """How much later each event came, the rows that arrived, the rows that arrived twice."""
    chance = rng.random(count)
    days, hours = chance < flaws.days_late, (chance >= flaws.days_late) & (chance < flaws.days_late + flaws.hours_late)
    waits = np.where(days, rng.integers(26, 97, count), np.where(hours, rng.integers(1, 13, count), 0)) * HOUR_MS
    fate = rng.random(posts)[post] if count else np.zeros(0)
    lost = fate < flaws.lost
    twice = (fate >= flaws.lost) & (fate < flaws.lost + flaws.twice)
    made.days_late += int((days & ~lost).sum())
    made.hours_late += int((hours & ~lost).sum())
    made.lost += int(lost.sum())
    made.twice += int(twice.sum())
    return waits.astype(np.int64), np.flatnonzero(~lost), np.flatnonzero(twice)


def _of_visits(day: Day) -> _Rows:
    visits = day.visits
    number, none = np.arange(len(visits.start)), np.full(len(visits.start), NEVER)
    people = np.flatnonzero(visits.end > visits.start)
    last = np.full(len(number), 1 << 40)
    opened = _Rows(number, none, none, none * 0 + CODE["app_open"], visits.start, none, none)
    closed = _Rows(number, last, last, none * 0 + CODE["app_close"], visits.end, none, none)
    return _joined([_picked(opened, people), _picked(closed, people)])


def _of_views(day: Day, names: Names) -> _Rows:
    views, reacted = day.views, day.views.reactions
    own = names.own[day.visits.person[views.visit]] == names.world.catalogue.creator[views.video]
    watch, end = reacted.watch_ms, views.at + reacted.startup_ms + reacted.watch_ms
    always = np.ones(len(views.at), np.bool_)
    happens = {
        "impression": (always, views.at),
        "play_start": (always, views.at + reacted.startup_ms),
        "play_progress": (watch > HEARTBEAT_MS, views.at + reacted.startup_ms + watch // 2),
        "view_end": (always, end),
        "like": (reacted.like, end),
        "unlike": (reacted.unlike, end),
        "share": (reacted.share, end),
        "comment": (reacted.comment_length > 0, end),
        "not_interested": (reacted.not_interested, end),
        "profile_visit": (reacted.visit | reacted.follow, end),
        "follow": (reacted.follow & ~own, end),  # nobody follows themselves
        "hide_creator": (reacted.hide_creator, end),
    }
    parts = []
    for place, name in enumerate(OF_A_VIEW):
        when, at = happens[name]
        row = np.flatnonzero(when)
        after = STEP_MS // len(OF_A_VIEW) * max(0, place - OF_A_VIEW.index("view_end"))
        order = (views.page[row] * 100 + views.position[row]) * 100 + place
        post = (views.page[row] * 100 + views.position[row] // ITEMS_PER_POST) * 10
        none = np.full(len(row), NEVER)
        parts.append(_Rows(views.visit[row], order, post, none * 0 + CODE[name], at[row] + after, row, none))
    return _joined(parts)


def _of_searches(day: Day) -> _Rows:
    visit, page, video = day.searches
    order = (page * 100 + 99) * 100
    # After the page's last video, whose end is where the next page begins at the latest.
    views = day.views
    ends = np.zeros(len(visit), np.int64)
    if len(visit):
        key = views.visit * 100 + views.page
        by_key = np.argsort(key, kind="stable")
        where = by_key[np.searchsorted(key[by_key], visit * 100 + page, side="right") - 1]
        ends = views.at[where] + views.reactions.startup_ms[where] + views.reactions.watch_ms[where] + STEP_MS
    none = np.full(len(visit), NEVER)
    searched = _Rows(visit, order, order // 10 + 5, none * 0 + CODE["search"], ends, none, video)
    tapped = _Rows(visit, order + 1, order // 10 + 5, none * 0 + CODE["search_click"], ends + 150, none, video)
    return _joined([searched, tapped])


def _columns(
    rows: _Rows, day: Day, names: Names, person: Rows, seq: Rows, sent: Rows, rng: np.random.Generator
) -> dict[str, pa.Array]:
    world, views, code = names.world, day.views, rows.code
    off = names.clock_ms[person]
    of_view = rows.view != NEVER
    view = np.where(of_view, rows.view, 0)
    video = np.where(of_view, views.video[view] if len(views.video) else NEVER, rows.video)

    def only(values: Rows, *types: str) -> pa.Array:
        return pa.array(values, mask=~np.isin(code, [CODE[name] for name in types]))

    def of_views(values: Rows) -> Rows:
        return values[view] if len(values) else np.zeros(len(view), np.int64)

    reacted = views.reactions
    watch, duration = of_views(reacted.watch_ms), of_views(world.catalogue.duration_ms[views.video])
    watch = np.where(code == CODE["play_progress"], watch // 2, watch)
    watched = ("play_start", "play_progress", "view_end")
    creator = np.where(video >= 0, world.catalogue.creator[video], NEVER).astype(np.int64)
    at_person = np.isin(code, [CODE[name] for name in ("profile_visit", "follow", "hide_creator")])
    opened = code == CODE["app_open"]
    startup = np.where(opened, rng.integers(150, 900, len(code)), of_views(reacted.startup_ms))
    home = np.r_[world.population.home, np.zeros(names.bots, np.int16)][person].astype(np.int64)
    network = rng.integers(0, len(NETWORKS), len(code))
    context = (home * len(DEVICES) + names.phone[person]) * len(NETWORKS) + network
    searched = np.isin(code, [CODE["search"], CODE["search_click"]])
    page = views.visit * 100 + views.page
    _, page_of_view = np.unique(page, return_inverse=True)
    requests = uuids(np.full(int(page_of_view.max(initial=-1)) + 1, int(day.visits.start.min(initial=0))), rng)
    impressions, sessions = uuids(views.at, rng), uuids(day.visits.start, rng)
    return {
        "event_id": uuids(rows.at, rng),
        "event_type": pa.array(TYPES).take(pa.array(code)),
        "event_time": pa.array(rows.at + off),
        "sent_at": pa.array(sent + off),
        "user_id": names.people.take(pa.array(person)),
        "device_id": names.devices.take(pa.array(person)),
        "session_id": sessions.take(pa.array(rows.visit)),
        "seq": pa.array(seq),
        "video_id": _taken(names.videos, np.where(code == CODE["search"], NEVER, video)),
        "target_user_id": _taken(names.creators, np.where(at_person, creator, NEVER)),
        "impression_id": _taken(impressions, rows.view),
        "request_id": _taken(requests, np.where(of_view, of_views(page_of_view), NEVER)),
        "position": pa.array(of_views(views.position), mask=~of_view),
        "watch_ms": only(watch, "play_progress", "view_end"),
        "duration_ms": only(duration, *watched),
        "loops": only(of_views(reacted.loops), "view_end"),
        "text_length": only(of_views(reacted.comment_length), "comment"),
        "query": _taken(names.words, np.where(searched, rng.integers(0, len(names.words), len(code)), NEVER)),
        "startup_ms": only(startup, "app_open", "play_start"),
        "context": _taken(names.contexts, np.where(opened, context, NEVER)),
    }


def uuids(at_ms: Rows, rng: np.random.Generator) -> pa.Array:
    """UUIDs version 7 as text, one per time, from the generator: the same seed, the same ids."""
    count = len(at_ms)
    raw = np.empty((count, 16), np.uint8)
    raw[:, :6] = at_ms.astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:]
    raw[:, 6:] = rng.integers(0, 256, (count, 10), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, _PLACES] = np.stack([_HEX[raw >> 4], _HEX[raw & 15]], axis=2).reshape(count, 32)
    offsets = np.arange(count + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_PLACES = [place for place in range(36) if place not in (8, 13, 18, 23)]


def _taken(words: pa.Array, place: Rows) -> pa.Array:
    return words.take(pa.array(place, mask=place == NEVER))


def _picked(rows: _Rows, which: NDArray[np.int64]) -> _Rows:
    return _Rows(*(getattr(rows, name)[which] for name in _Rows.__dataclass_fields__))


def _joined(parts: Sequence[_Rows]) -> _Rows:
    return _Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Rows.__dataclass_fields__))


def _sorted(*parts: _Rows) -> _Rows:
    rows = _joined(parts)
    return _picked(rows, np.lexsort((rows.order, rows.visit)))
