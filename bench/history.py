"""Weeks of views by the simulator's people, as rows of `silver/clean`: no HTTP, no clock, one seed.

What is shown is half what is popular and half what the person's interests (the simulator's secret) suggest, as a feed
of some skill would: so there is something to learn, and popularity is no easy opponent. Reactions are the simulator's
own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foryou.simulator.catalogue import DAY_MS, Catalogue, grow, lasting_id
from foryou.simulator.population import Population, choose, settle
from foryou.simulator.reactions import Reaction, draws, react
from foryou.simulator.truth import Truth
from foryou.simulator.words import GENRES, HOMES

APP = "demo"
BY_TASTE = 0.5  # of what is shown
POPULARITY = 0.6  # a video of popularity rank r is shown in proportion to r^-0.6
SCHEMA = pa.schema(
    {
        "app_id": pa.string(),
        "event_id": pa.string(),
        "event_type": pa.string(),
        "user_key": pa.string(),
        "video_id": pa.string(),
        "creator_key": pa.string(),
        "category": pa.string(),
        "region": pa.string(),
        "user_region": pa.string(),
        "watch_ms": pa.int64(),
        "duration_ms": pa.int64(),
        "video_duration_ms": pa.int64(),
        "relation": pa.string(),
        "relation_on": pa.int32(),
        "time": pa.int64(),
        "received_at": pa.int64(),
        "flagged": pa.bool_(),
        "day": pa.date32(),
    }
)


@dataclass(frozen=True)
class Past:
    """A made-up past: who lived on which catalogue, and the rows that they left, in no promised order."""

    catalogue: Catalogue
    population: Population
    truth: Truth
    people: NDArray[np.int64]
    clean: pa.Table


def lived(
    seed: int, last: date, *, days: int = 28, people: int = 1_000, videos: int = 10_000, a_day: float = 30
) -> Past:
    """The past of `days` days that ends with `last`: each person sees about `a_day` videos a day by their activity."""
    end_ms = int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp() * 1000) + DAY_MS
    catalogue, population = grow(seed, end_ms - days * DAY_MS, videos), settle(seed)
    truth, chosen = Truth(population, catalogue), choose(population, people, seed)
    shown = _Shown(catalogue, seed)
    rows = [
        row
        for person in chosen.tolist()
        for row in _life(person, seed, catalogue, population, truth, shown, end_ms, days, a_day)
    ]
    return Past(catalogue, population, truth, chosen, pa.Table.from_pylist(rows, SCHEMA))


class _Shown:
    """What a person is shown: by popularity over all, and by popularity within a genre."""

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        rng = np.random.default_rng([seed, 21])
        rows = rng.permutation(np.flatnonzero(~catalogue.blocked))
        luck = np.arange(1, len(rows) + 1) ** -POPULARITY * np.exp(0.5 * catalogue.quality[rows])
        self.everywhere = rows, np.cumsum(luck) / luck.sum()
        self.within: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        for genre in range(len(GENRES)):
            mine = catalogue.genre[rows] == genre
            part = np.cumsum(luck[mine])
            self.within.append((rows[mine], part / part[-1] if len(part) else part))

    def to(self, interests: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """`count` different rows or fewer."""
        chance, by_taste = rng.random(count), rng.random(count) < BY_TASTE
        genres = rng.choice(len(GENRES), count, p=interests)
        drawn = [
            rows[min(np.searchsorted(ladder, number), len(rows) - 1)]
            for number, (rows, ladder) in (
                (number, self.within[genre] if taste and len(self.within[genre][0]) else self.everywhere)
                for number, taste, genre in zip(chance, by_taste, genres, strict=True)
            )
        ]
        return np.array(list(dict.fromkeys(drawn)), np.int64)


def _life(
    person: int,
    seed: int,
    catalogue: Catalogue,
    population: Population,
    truth: Truth,
    shown: _Shown,
    end_ms: int,
    days: int,
    a_day: float,
) -> Iterator[dict[str, Any]]:
    rng, dice = np.random.default_rng([seed, 22, person]), draws(seed, "history", person)
    count = int(rng.poisson(days * a_day * population.activity[person] / population.activity.mean()))
    videos = shown.to(population.interests[person], count, rng)
    times = np.sort(end_ms - 1 - rng.integers(0, days * DAY_MS, len(videos)))
    region = HOMES[population.home[person]][0]
    for video, joy, time in zip(videos.tolist(), truth.enjoyment(person, videos).tolist(), times.tolist(), strict=True):
        duration_ms = int(catalogue.duration_ms[video])
        head = {
            "app_id": APP,
            "user_key": f"uk_{population.user_id(person)}",
            "video_id": catalogue.video_id[video],
            "creator_key": f"uk_{catalogue.creator_id[catalogue.creator[video]]}",
            "category": GENRES[catalogue.genre[video]],
            "region": region,
            "user_region": region,
            "duration_ms": duration_ms,
            "video_duration_ms": duration_ms,
            "flagged": False,
        }
        for number, said in enumerate(_events(react(joy, duration_ms, dice))):
            at = time + number
            yield (
                head
                | said
                | {
                    "event_id": lasting_id(seed, str(person), str(video), str(number)),
                    "time": at,
                    "received_at": at + 50,
                    "day": date(1970, 1, 1) + timedelta(days=at // DAY_MS),
                }
            )


def _events(reaction: Reaction) -> Iterator[dict[str, Any]]:
    yield {"event_type": "play_start"}
    yield {"event_type": "view_end", "watch_ms": reaction.watch_ms}
    if reaction.like:
        stands = 0 if reaction.unlike else 1
        yield {"event_type": "like", "relation": "like", "relation_on": stands}
    if reaction.share:
        yield {"event_type": "share", "relation": "share", "relation_on": 1}
    if reaction.comment_length:
        yield {"event_type": "comment"}
