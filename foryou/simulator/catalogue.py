"""The catalogue: KuaiRand's videos as they are, and as many grown from them as wanted. Seeded and vectorised.

Columns, not objects: a video is a row number. What goes over the wire is made row by row in `published`, and only from
public columns; `quality` is the simulator's secret.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foryou.simulator.kuairand import RealPeople, RealVideos, real_people, real_videos
from foryou.simulator.words import (
    ADJECTIVES,
    GENRES,
    HOMES,
    PATTERNS,
    PLACES,
    THINGS,
    TRENDING,
    TWISTS,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

SIZE = 200_000
LEAST = 7_583  # KuaiRand's own videos are always in it
OLDEST_MS = 90 * DAY_MS
FRESH_SHARE = 0.15  # of the grown videos, published within a day of the catalogue's clock
BLOCKED_SHARE = 0.005  # what moderation took down: a feed must never show one
ON_GENRE = 0.85  # how often a creator stays with the genre of the house
ZIPF = 0.8  # popularity of a creator of rank r is r^-0.8
QUALITY_OF_CREATOR = 0.5  # correlation of a video's quality with its creator's

Event = dict[str, Any]


@dataclass(frozen=True)
class Catalogue:
    """All videos, one row each; the first `real` rows are KuaiRand's. Times are UTC ms, durations ms."""

    seed: int
    now_ms: int
    real: int
    video_id: list[str]
    creator: NDArray[np.int32]  # row in creator_id
    creator_id: list[str]
    creator_genre: NDArray[np.int16]
    creator_fame: NDArray[np.float64]  # sums to 1
    genre: NDArray[np.int16]  # row in GENRES
    duration_ms: NDArray[np.int64]
    published_at: NDArray[np.int64]
    home: NDArray[np.int16]  # row in HOMES
    music: list[str]
    music_of: NDArray[np.int32]
    advert: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    words: NDArray[np.uint16]  # six draws per video, from which title and hashtags follow
    quality: NDArray[np.float64]  # latent, standard normal: never sent

    def __len__(self) -> int:
        return len(self.video_id)

    def row_of(self, video_id: str) -> int | None:
        """The row of a video of this catalogue; None for a stranger."""
        kind, _, number = video_id.partition("_")
        if not number.isdecimal():
            return None
        row = int(number) + (0 if kind == "kr" else self.real)
        return row if row < len(self) and self.video_id[row] == video_id else None

    def of_genre(self, genre: str) -> NDArray[np.int64]:
        """Rows of a genre."""
        return np.flatnonzero(self.genre == GENRES.index(genre))

    def title(self, row: int) -> str:
        """A made-up title in the words of the video's genre."""
        pattern, thing, adjective, place, twist, number = (int(draw) for draw in self.words[row])
        things = THINGS[GENRES[self.genre[row]]]
        return PATTERNS[pattern % len(PATTERNS)].format(
            thing=things[thing % len(things)],
            adj=ADJECTIVES[adjective % len(ADJECTIVES)],
            place=PLACES[place % len(PLACES)],
            twist=TWISTS[twist % len(TWISTS)],
            n=2 + number % 9,
        )

    def hashtags(self, row: int) -> list[str]:
        """The genre, the thing shown, sometimes a trending tag; adverts say so."""
        _, thing, _, trend, _, _ = (int(draw) for draw in self.words[row])
        genre = GENRES[self.genre[row]]
        things = THINGS[genre]
        tags = [genre.replace("-", ""), "".join(filter(str.isalnum, things[thing % len(things)].lower()))]
        if trend % 3 == 0:
            tags.append(TRENDING[trend // 3 % len(TRENDING)])
        return [*tags, "advert"] if self.advert[row] else tags

    def published(self, row: int) -> Event:
        """The `video_published` event of a row, ready for the wire; the id lasts, so that a repeat is a duplicate."""
        region, language, _ = HOMES[self.home[row]]
        return {
            "event_id": lasting_id(self.seed, "video_published", self.video_id[row]),
            "event_type": "video_published",
            "event_time": self.now_ms,
            "video_id": self.video_id[row],
            "creator_id": self.creator_id[self.creator[row]],
            "duration_ms": int(self.duration_ms[row]),
            "category": GENRES[self.genre[row]],
            "hashtags": self.hashtags(row),
            "title": self.title(row),
            "language": language,
            "region": region,
            "music_id": self.music[self.music_of[row]],
            "published_at": int(self.published_at[row]),
            "moderation": "blocked" if self.blocked[row] else "allowed",
        }

    def all_published(self) -> Iterator[Event]:
        """Every video's `video_published`, real ones first."""
        return (self.published(row) for row in range(len(self)))


def lasting_id(seed: int, *parts: str) -> str:
    """A UUID (version 8, RFC 9562) that is the same whenever the same thing is said again."""
    digest = hashlib.blake2b("\0".join((str(seed), *parts)).encode(), digest_size=16).digest()
    value = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def grow(seed: int, now_ms: int, size: int = SIZE) -> Catalogue:
    """A catalogue of `size` videos as of `now_ms`; same arguments, same catalogue. Raises ValueError if too small."""
    videos, people = real_videos(), real_people()
    real, grown = len(videos), size - len(videos)
    if grown < 0:
        raise ValueError(f"a catalogue has at least KuaiRand's own {real:,} videos, not {size:,}")
    rng = np.random.default_rng([seed, 1])
    creator_id, author_row, creator_genre = _creators(rng, videos, people)
    fame = _fame(rng, len(creator_id))

    creator = rng.choice(len(creator_id), grown, p=fame)
    source = _source(rng, videos, creator_genre[creator])
    genre = np.concatenate([videos.genre, videos.genre[source]])
    filled = _filled_durations(rng, videos)
    stretch = np.exp(rng.normal(0.0, 0.1, grown))
    music, music_of = np.unique(np.array(videos.music), return_inverse=True)
    home_of_creator = rng.choice(len(HOMES), len(creator_id), p=[share for _, _, share in HOMES])
    creators = np.concatenate([author_row, creator])
    travels = rng.random(size) < 0.1  # a tenth of the videos is not from where their creator is from
    home = np.where(travels, rng.choice(len(HOMES), size), home_of_creator[creators])
    quality_of_creator = rng.normal(size=len(creator_id))
    quality = QUALITY_OF_CREATOR * quality_of_creator[creators] + np.sqrt(1 - QUALITY_OF_CREATOR**2) * rng.normal(
        size=size
    )
    return Catalogue(
        seed=seed,
        now_ms=now_ms,
        real=real,
        video_id=[f"kr_{name}" for name in videos.video_id] + [f"g_{row}" for row in range(grown)],
        creator=creators.astype(np.int32),
        creator_id=creator_id,
        creator_genre=creator_genre.astype(np.int16),
        creator_fame=fame,
        genre=genre.astype(np.int16),
        duration_ms=np.concatenate([filled, np.maximum(3_000, filled[source] * stretch).astype(np.int64)]),
        published_at=np.concatenate([videos.upload_day_ms + rng.integers(0, DAY_MS, real), now_ms - _ages(rng, grown)]),
        home=home.astype(np.int16),
        music=[f"m_{name}" for name in music.tolist()],
        music_of=np.concatenate([music_of, music_of[source]]).astype(np.int32),
        advert=np.concatenate([videos.advert, np.zeros(grown, dtype=np.bool_)]),
        blocked=np.concatenate([np.zeros(real, dtype=np.bool_), rng.random(grown) < BLOCKED_SHARE]),
        words=rng.integers(0, 1 << 16, (size, 6), dtype=np.uint16),
        quality=quality,
    )


def _creators(
    rng: np.random.Generator, videos: RealVideos, people: RealPeople
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Creator ids (KuaiRand's authors, then people who publish), the row there per real video, genre of the house."""
    authors, first_video, author_row = np.unique(videos.author, return_index=True, return_inverse=True)
    publishing = np.flatnonzero(people.author)
    genre_of_people = videos.genre[rng.integers(0, len(videos), len(publishing))]
    ids = [f"a{author}" for author in authors] + [f"p{person}" for person in publishing]
    return ids, author_row.astype(np.int64), np.concatenate([videos.genre[first_video], genre_of_people])


def _fame(rng: np.random.Generator, creators: int) -> NDArray[np.float64]:
    weight: NDArray[np.float64] = rng.permutation(np.arange(1, creators + 1, dtype=np.float64) ** -ZIPF)
    fame: NDArray[np.float64] = weight / weight.sum()
    return fame


def _source(rng: np.random.Generator, videos: RealVideos, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each grown video the real one whose type, duration, tag and music it takes together; never an advert."""
    natural = np.flatnonzero(~videos.advert)
    by_genre = natural[np.argsort(videos.genre[natural], kind="stable")]
    count = np.bincount(videos.genre[natural], minlength=len(GENRES))
    start = np.cumsum(count) - count
    same = by_genre[start[wanted] + (rng.random(len(wanted)) * count[wanted]).astype(np.int64)]
    other = natural[rng.integers(0, len(natural), len(wanted))]
    chosen: NDArray[np.int64] = np.where(rng.random(len(wanted)) < ON_GENRE, same, other)
    return chosen


def _filled_durations(rng: np.random.Generator, videos: RealVideos) -> NDArray[np.int64]:
    """Durations, the missing ones drawn from videos of the same genre where it has any: the wire wants one."""
    filled = videos.duration_ms.copy()
    for row in np.flatnonzero(filled == 0):
        alike = videos.duration_ms[(videos.genre == videos.genre[row]) & (videos.duration_ms > 0)]
        filled[row] = rng.choice(alike if len(alike) else videos.duration_ms[videos.duration_ms > 0])
    return filled


def _ages(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Ages in ms: a share evenly over the last day (every hour has some), the rest ever sparser up to 90 days."""
    today = rng.random(count) * DAY_MS
    earlier = np.exp(rng.uniform(np.log(DAY_MS), np.log(OLDEST_MS), count))
    ages: NDArray[np.int64] = np.where(rng.random(count) < FRESH_SHARE, today, earlier).astype(np.int64)
    return ages
