"""A simulated day of the past: who visits when, sees what, reacts how. Columns only; people by the thousand.

The people, the catalogue, the truth and the chances of reactions are those of the live simulator. Two things are not:
time is not compressed (a 30 s video takes 30 s), and pages come from a stand-in ranker, a mixture of what is popular,
what is of the person's genres, and chance. It knows what no ranker knows (quality, interests), so its pages say
nothing about ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foryou.simulator.catalogue import DAY_MS, HOUR_MS, MINUTE_MS
from foryou.simulator.people import World
from foryou.simulator.reactions import Reactions, react_many
from foryou.simulator.truth import FATIGUE, MOST_FATIGUE
from foryou.simulator.words import GENRES, HOMES

PAGE = 10
MOST_PAGES = 15
SHARES = (0.45, 0.35, 0.2)  # of a page: popular, of the person's genres, chance
POPULAR = 2_000
POPULAR_ZIPF = 0.7
FRESH_DAYS, FRESH_BONUS = 3, 1.0  # a new video of like quality ranks higher: trends come and go
WEEKEND = 1.25
SWIPE_MS = 300
SEARCHES = 0.08  # per page
LEAST_APART_MS = 45 * MINUTE_MS
# Local hours: asleep at four, lunch, and the evening.
HOURS = np.array([3, 2, 1, 0.5, 0.4, 0.6, 1.5, 3, 4, 4, 4, 5, 6.5, 6, 5, 5, 5.5, 6.5, 8, 9.5, 11, 11, 9, 6])
UTC_OFFSET = {"US": -6, "GB": 0, "IN": 5, "BR": -3, "MX": -6, "ES": 1, "ID": 7, "JP": 9, "KR": 9, "DE": 1, "FR": 1}
UTC_OFFSET |= {"TR": 3}
SEEN_SLOTS = 1 << 26  # a hashed set of (person, video), 64 MiB; a collision only makes a page look a little further

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Visits:
    """One row per visit. `end`: when the app was closed."""

    person: Rows
    start: Rows
    end: Rows


@dataclass(frozen=True)
class Views:
    """One row per watched item. `visit`: row in Visits; `page`: of the visit, from 0; `at`: when it came into sight."""

    visit: Rows
    page: Rows
    position: Rows
    video: Rows
    at: Rows
    reactions: Reactions


@dataclass(frozen=True)
class Day:
    """A day of visits. `searches`: rows of (visit, page, video tapped)."""

    visits: Visits
    views: Views
    searches: tuple[Rows, Rows, Rows]


class Shelf:
    """The stand-in ranker of one day: what may be shown, ranked and by genre, as of the day's first moment."""

    def __init__(self, world: World, day_ms: int, rng: np.random.Generator) -> None:
        catalogue = world.catalogue
        self._eligible = np.flatnonzero((catalogue.published_at < day_ms) & ~catalogue.blocked & ~catalogue.advert)
        fresh = catalogue.published_at[self._eligible] > day_ms - FRESH_DAYS * DAY_MS
        liking = catalogue.quality[self._eligible] + FRESH_BONUS * fresh + 0.3 * rng.normal(size=len(self._eligible))
        self._popular = self._eligible[np.argsort(-liking, kind="stable")[:POPULAR]]
        weight = np.arange(1, len(self._popular) + 1, dtype=np.float64) ** -POPULAR_ZIPF
        self._popular_cdf = np.cumsum(weight / weight.sum())
        genre = catalogue.genre[self._eligible]
        self._by_genre = self._eligible[np.argsort(genre, kind="stable")]
        self._count = np.bincount(genre, minlength=len(GENRES))
        self._start = np.cumsum(self._count) - self._count
        self._interests = np.cumsum(world.population.interests, axis=1)

    def pages(self, people: Rows, rng: np.random.Generator) -> Rows:
        """Video rows, (people, PAGE)."""
        shape = (len(people), PAGE)
        kind = rng.random(shape)
        popular = self._popular[np.searchsorted(self._popular_cdf, rng.random(shape)).clip(max=len(self._popular) - 1)]
        cdf = self._interests[people]
        genre = (rng.random(shape)[:, :, None] > cdf[:, None, :]).sum(axis=2).clip(max=len(GENRES) - 1)
        chosen = np.where(kind < SHARES[0], popular, self.of_genre(genre, rng))
        return np.where(kind < SHARES[0] + SHARES[1], chosen, self.anything(shape, rng))

    def of_genre(self, genre: Rows, rng: np.random.Generator) -> Rows:
        """A video of each genre; of any where there is none."""
        place = self._start[genre] + (rng.random(genre.shape) * self._count[genre]).astype(np.int64)
        found = self._by_genre[place.clip(max=len(self._by_genre) - 1)]
        return np.where(self._count[genre] > 0, found, self.anything(genre.shape, rng))

    def anything(self, shape: tuple[int, ...], rng: np.random.Generator) -> Rows:
        """Any video that may be shown."""
        found: Rows = self._eligible[(rng.random(shape) * len(self._eligible)).astype(np.int64)]
        return found


class Seen:
    """Who has seen what, so that a page rarely shows it again."""

    def __init__(self) -> None:
        self._slots = np.zeros(SEEN_SLOTS, dtype=np.bool_)

    def refresh(self, people: Rows, pages: Rows, shelf: Shelf, rng: np.random.Generator) -> Rows:
        """The pages, with something else in place of what was seen; all of it is seen from now on."""
        again = self._slots[_slot(people[:, None], pages)]
        fresh = np.where(again, shelf.anything(pages.shape, rng), pages)
        self._slots[_slot(people[:, None], fresh)] = True
        return fresh


def _slot(people: Rows, videos: Rows) -> Rows:
    mixed = people * 0x9E3779B1 + videos * 0x85EBCA77
    slot: Rows = (mixed ^ (mixed >> 17)) & (SEEN_SLOTS - 1)
    return slot


def live_a_day(world: World, people: Rows, day_ms: int, visits: float, seen: Seen, rng: np.random.Generator) -> Day:
    """A day of `people` (rows of the population), each with `visits` times their activity on average."""
    person, start = _come(world, people, day_ms, visits, rng)
    shelf = Shelf(world, day_ms, rng)
    clock = start + rng.integers(150, 900, len(start))
    streak, genre = np.zeros(len(start), np.int64), np.full(len(start), -1)
    here = np.arange(len(start))
    parts: list[tuple[Rows, ...]] = []
    reactions: list[Reactions] = []
    searches: list[tuple[Rows, Rows, Rows]] = []
    for page in range(MOST_PAGES):
        if not len(here):
            break
        shown = seen.refresh(person[here], shelf.pages(person[here], rng), shelf, rng)
        joy = world.truth.enjoyment(np.repeat(person[here], PAGE), shown.ravel()).reshape(shown.shape)
        joy *= _weariness(world.catalogue.genre[shown], here, streak, genre)
        reaction = react_many(joy.ravel(), world.catalogue.duration_ms[shown.ravel()], rng)
        takes = (reaction.startup_ms + reaction.watch_ms + SWIPE_MS).reshape(shown.shape)
        ends = clock[here][:, None] + np.cumsum(takes, axis=1)
        slots = np.tile(np.arange(PAGE), len(here))
        parts.append((np.repeat(here, PAGE), np.full(slots.shape, page), slots, shown.ravel(), (ends - takes).ravel()))
        reactions.append(reaction)
        clock[here] = ends[:, -1] + rng.integers(400, 3_000, len(here))
        searching = here[rng.random(len(here)) < SEARCHES]
        favourite = world.population.interests[person[searching]].argmax(axis=1)
        searches.append((searching, np.full(len(searching), page), shelf.of_genre(favourite, rng)))
        here = here[rng.random(len(here)) >= 0.45 - 0.4 * joy.mean(axis=1)]
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)] if parts else [np.zeros(0, np.int64)] * 5
    visit, at_page, position, video, at = columns
    views = Views(visit, at_page, position, video, at, _joined(reactions))
    found = tuple(np.concatenate(each) for each in zip(*searches, strict=True)) if searches else (columns[0],) * 3
    return Day(Visits(person, start, clock), views, (found[0], found[1], found[2]))


def _come(world: World, people: Rows, day_ms: int, visits: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Visitors and when they come, one row per visit; a person's visits begin some time apart."""
    weekend = (day_ms // DAY_MS + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    mean = visits * world.population.activity[people] * (WEEKEND if weekend else 1.0)
    person = np.repeat(people, rng.poisson(mean))
    offsets = np.array([UTC_OFFSET[region] for region, _, _ in HOMES])
    local = rng.choice(24, len(person), p=HOURS / HOURS.sum()) + rng.random(len(person))
    hour = (local - offsets[world.population.home[person]]) % 24
    start = day_ms + (hour * HOUR_MS).astype(np.int64)
    order = np.lexsort((start, person))
    person, start = person[order], start[order]
    apart = np.ones(len(person), np.bool_)
    apart[1:] = (person[1:] != person[:-1]) | (np.diff(start) > LEAST_APART_MS)
    return person[apart], start[apart]


def _weariness(genres: NDArray[np.int16], here: Rows, streak: Rows, last: Rows) -> NDArray[np.float64]:
    """Factors on enjoyment of a page, (visits, PAGE), by `truth.weariness`; streaks go on from page to page."""
    factors = np.empty(genres.shape)
    for slot in range(genres.shape[1]):
        streak[here] = np.where(genres[:, slot] == last[here], streak[here] + 1, 1)
        last[here] = genres[:, slot]
        factors[:, slot] = 1 - np.minimum(MOST_FATIGUE, FATIGUE * np.maximum(0, streak[here] - 2))
    return factors


def _joined(parts: list[Reactions]) -> Reactions:
    if not parts:
        return react_many(np.zeros(0), np.zeros(0, np.int64), np.random.default_rng(0))
    names = list(Reactions.__dataclass_fields__)
    return Reactions(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
