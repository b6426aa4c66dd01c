"""Weeks of history in minutes: a file of events per day, the catalogue, the accounts, and what was made on purpose.

The files are what `foryou import` reads. Same arguments, same bytes of events.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foryou.simulator.catalogue import DAY_MS, HOUR_MS, SIZE, Catalogue, Event, grow, lasting_id
from foryou.simulator.past_days import Day, Rows, Seen, Views, Visits, live_a_day
from foryou.simulator.past_events import Flaws, Made, Names, table_of
from foryou.simulator.people import World
from foryou.simulator.population import choose, follow_edges, settle
from foryou.simulator.reactions import Reactions
from foryou.simulator.truth import Truth

CATALOGUE_SEED = 1
BOTS_SHARE = 0.001
BOT_VIEWS, BOT_VISITS = 1_100, 1  # a day; four events each, so more than 2,000 within an hour however the visit falls
BOT_PACE_MS, BOT_WATCH_MS = 1_200, 900


@dataclass(frozen=True)
class Plan:
    """How much history. `until_ms`: the first moment after it, a midnight UTC. `visits`: a day, of the most active."""

    until_ms: int
    weeks: float = 3.0
    people: int = 2_000
    seed: int = 1
    videos: int = SIZE
    visits: float = 1.1  # some five million events with the other defaults
    flaws: Flaws = field(default_factory=Flaws)

    @property
    def days(self) -> list[int]:
        """First moments of the days, UTC ms. Raises ValueError when there is none, or the end is no midnight."""
        count = round(self.weeks * 7)
        if self.until_ms % DAY_MS or count < 1:
            raise ValueError("history has whole days, at least one, and ends at midnight UTC")
        return [self.until_ms - DAY_MS * back for back in range(count, 0, -1)]


@dataclass(frozen=True)
class History:
    """What was written: the folder, events received within the weeks, what was made on purpose, who is a bot."""

    folder: Path
    events: int
    made: Made
    not_yet_received: int
    bots: tuple[str, ...]
    wrong_clocks: tuple[str, ...]


def write_history(folder: Path, plan: Plan, progress: Callable[[int], None] = lambda day: None) -> History:
    """Writes the files; `progress` hears of each day done. Raises ValueError when the folder is not empty."""
    days = plan.days
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: history is written into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _write(folder, plan, days, progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # half a history is worse than none
        raise


def _write(folder: Path, plan: Plan, days: list[int], progress: Callable[[int], None]) -> History:
    catalogue = grow(CATALOGUE_SEED, plan.until_ms, plan.videos)
    population = settle(CATALOGUE_SEED)
    world = World(catalogue, population, Truth(population, catalogue))
    people = np.sort(choose(population, plan.people, plan.seed))
    bots = max(1, round(BOTS_SHARE * plan.people)) if plan.flaws.twice else 0
    names = Names(world, bots, plan.seed, plan.flaws)
    _write_rows(folder / "videos.parquet", [_published(catalogue, row, days[0]) for row in range(len(catalogue))])
    _write_rows(folder / "people.parquet", _accounts(world, people, plan, days[0] - HOUR_MS))
    made, seen, waiting, written = Made(), Seen(), None, 0
    for number, day_ms in enumerate(days):
        rng = np.random.default_rng([plan.seed, 7, number])
        day = live_a_day(world, people, day_ms, plan.visits, seen, rng)
        table = table_of(_with_bots(day, world, bots, day_ms, plan.seed), names, rng, made)
        if waiting is not None:
            table = pa.concat_tables([waiting, table])
        arrived = pc.less(table["received_at"], day_ms + DAY_MS)
        waiting = table.filter(pc.invert(arrived))
        written += _write_day(folder, day_ms, table.filter(arrived))
        progress(number + 1)
    ids = names.people.to_pylist()
    wrong = np.abs(names.clock_ms[people]) > HOUR_MS
    history = History(
        folder=folder,
        events=written,
        made=made,
        not_yet_received=len(waiting) if waiting is not None else 0,
        bots=tuple(ids[len(population) :]),
        wrong_clocks=tuple(ids[row] for row in people[wrong]),
    )
    told = asdict(replace(history, folder=Path())) | {"plan": asdict(plan)}
    (folder / "history.json").write_text(json.dumps(told, indent=1, default=str), "utf-8")
    return history


def _write_day(folder: Path, day_ms: int, table: pa.Table) -> int:
    date = datetime.fromtimestamp(day_ms / 1_000, UTC).date()
    pq.write_table(table.sort_by("received_at"), folder / f"events-{date}.parquet", compression="zstd")
    return len(table)


def _write_rows(path: Path, rows: list[Event]) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path, compression="zstd")


def _published(catalogue: Catalogue, row: int, start_ms: int) -> dict[str, Any]:
    """A video's event. What was published before the weeks is received just before them, with its own date.

    The id is not the live simulator's: both may be in one lake, and the past needs its own to be known in the past.
    """
    event = catalogue.published(row)
    at = max(int(catalogue.published_at[row]), start_ms - HOUR_MS)
    own = {"event_id": lasting_id(catalogue.seed, "past", catalogue.video_id[row]), "event_time": at, "received_at": at}
    return event | own


def _accounts(world: World, people: Rows, plan: Plan, at_ms: int) -> list[Event]:
    """Accounts, and whom they followed before it all began."""
    population, rows = world.population, []
    for person in people.tolist():
        me = population.user_id(person)
        created = population.account_created(person, at_ms)
        rows.append(created | {"event_id": lasting_id(plan.seed, "past", "account", me), "received_at": at_ms})
        for creator in follow_edges(population, world.catalogue, person).tolist():
            target = world.catalogue.creator_id[creator]
            rows.append(
                {
                    "event_id": lasting_id(plan.seed, "past", "follow", me, target),
                    "event_type": "follow",
                    "event_time": at_ms,
                    "received_at": at_ms,
                    "user_id": me,
                    "target_user_id": target,
                }
            )
    return rows


def _with_bots(day: Day, world: World, bots: int, day_ms: int, seed: int) -> Day:
    """The day with its bots: hundreds of views at one pace, all of one creator, every one of them liked."""
    if not bots:
        return day
    rng = np.random.default_rng([seed, 13, day_ms // DAY_MS])
    own = np.random.default_rng([seed, 14])
    fans_of = own.integers(0, len(world.catalogue.creator_id), bots)
    person = np.repeat(len(world.population) + np.arange(bots), BOT_VISITS)
    start = day_ms + rng.integers(0, 23 * HOUR_MS, len(person))
    visits = Visits(
        np.r_[day.visits.person, person], np.r_[day.visits.start, start], np.r_[day.visits.end, start]
    )  # without an end after the start: a bot opens no app
    visit = len(day.visits.start) + np.repeat(np.arange(len(person)), BOT_VIEWS)
    number = np.tile(np.arange(BOT_VIEWS), len(person))
    known = np.flatnonzero(world.catalogue.published_at < day_ms)
    video = np.concatenate([_of_creator(world, known, fans_of[each // BOT_VISITS], rng) for each in range(len(person))])
    count = len(visit)
    no, zero = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    acts = Reactions(
        zero + BOT_WATCH_MS, zero, zero + 50, ~no, no, no, zero, no, no, no, no
    )  # watch_ms, loops, startup_ms, like, …
    old = day.views
    views = Views(
        visit=np.r_[old.visit, visit],
        page=np.r_[old.page, number // 10],
        position=np.r_[old.position, number % 10],
        video=np.r_[old.video, video],
        at=np.r_[old.at, np.repeat(start, BOT_VIEWS) + number * BOT_PACE_MS],
        reactions=_both(old.reactions, acts),
    )
    return Day(visits, views, day.searches)


def _of_creator(world: World, known: Rows, creator: int, rng: np.random.Generator) -> Rows:
    theirs = known[world.catalogue.creator[known] == creator]
    found: Rows = rng.choice(theirs if len(theirs) else known, BOT_VIEWS)
    return found


def _both(one: Reactions, other: Reactions) -> Reactions:
    names = list(Reactions.__dataclass_fields__)
    return Reactions(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})
