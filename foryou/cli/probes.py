"""Probes of a demo: is the catalogue everywhere, how fresh is a feature, does a page follow ten likes."""

import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foryou.cli.feature_reader import FeatureReader, FeaturesUnreadable
from foryou.contract.identity import Identity
from foryou.contract.ids import uuid7
from foryou.simulator.catalogue import Catalogue, Event
from foryou.simulator.mischief import Batch
from foryou.simulator.phone import Phone
from foryou.simulator.words import GENRES

LIKES = "user_activity_v1:likes_24h"
CATEGORIES = "user_category_v1:affinity_categories"
POLL_S = 0.01
PATIENCE_S = 30.0  # a stall of a busy machine is slow; what is not there after this is lost
PAGE = 20


class NotThere(Exception):
    """What was waited for did not come; the message says what, and for how long."""


@dataclass(frozen=True)
class Visitor:
    """Somebody whom nobody knows yet, with a phone and a window into the feature store."""

    user_id: str
    user_key: str
    phone: Phone
    reader: FeatureReader

    @classmethod
    def arriving(cls, name: str, identity: Identity, app_id: str, phone: Phone, reader: FeatureReader) -> "Visitor":
        """A visitor with a new id, so that a second run meets no history."""
        user_id = f"{name}-{secrets.token_hex(4)}"
        return cls(user_id, identity.user_key(app_id, user_id), phone, reader)

    async def like(self, videos: Sequence[str], duration_ms: int = 20_000) -> None:
        """Watches videos to the end and likes them, all in one post."""
        now_ms = time.time_ns() // 1_000_000
        events: list[Event] = []
        for video_id in videos:
            watched = {"watch_ms": duration_ms, "duration_ms": duration_ms, "loops": 0}
            for event_type, more in (("play_start", {}), ("view_end", watched), ("like", {})):
                events.append(self._event(event_type, video_id, len(events), now_ms) | more)
        await self.phone.send(Batch(tuple(events)))

    async def read(self, name: str) -> object:
        """A feature's value now."""
        return (await self.reader.of_user(self.user_key, [name]))[name.partition(":")[2]]

    def _event(self, event_type: str, video_id: str, seq: int, now_ms: int) -> Event:
        return {
            "event_id": uuid7(now_ms),
            "event_type": event_type,
            "event_time": now_ms,
            "sent_at": now_ms,
            "user_id": self.user_id,
            "session_id": f"s-{self.user_id}",
            "seq": seq,
            "video_id": video_id,
        }


async def catalogue_is_blended(arrive: "Arrive", catalogue: Catalogue, seconds: float = 120.0) -> None:
    """Returns when Flink knows the last published videos: likes of them move affinities of all their categories.

    Raises NotThere. Each try is a new visitor, since an event blended too early stays without its category.
    """
    last = [row for row in range(len(catalogue) - 1, len(catalogue) - 2_000, -1) if not catalogue.blocked[row]]
    rows = {int(catalogue.genre[row]): row for row in last[:200]}  # one video per genre, of the last posts
    wanted = {GENRES[genre] for genre in list(rows)[:8]}
    videos = [catalogue.video_id[row] for row in list(rows.values())[:8]]
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        visitor = arrive("catalogue-probe")
        await visitor.like(videos)
        for _ in range(20):
            await asyncio.sleep(0.1)
            known = await visitor.read(CATEGORIES)
            if isinstance(known, list) and wanted <= set(known):
                return
    raise NotThere(
        f"likes of the newest videos did not reach the categories within {seconds:.0f} s: see `foryou status`"
    )


class Arrive:
    """Makes visitors."""

    def __init__(self, identity: Identity, app_id: str, phone: Phone, reader: FeatureReader) -> None:
        self._of = (identity, app_id, phone, reader)

    def __call__(self, name: str) -> Visitor:
        return Visitor.arriving(name, *self._of)


async def freshness(visitor: Visitor, catalogue: Catalogue, until: float, every_s: float = 0.4) -> list[float]:
    """From the moment before a like's POST to its count being read through Feast, in ms, again and again until `until`.

    `until` is in time.monotonic(). A like that is not seen within PATIENCE_S counts as infinite.
    """
    rows = np.random.default_rng(len(visitor.user_id)).permutation(np.flatnonzero(~catalogue.blocked))
    found: list[float] = []
    liked = 0
    while time.monotonic() < until and liked < len(rows):
        video_id = catalogue.video_id[rows[liked]]
        begin = time.perf_counter()
        await visitor.like([video_id])
        liked += 1
        found.append(await _seen(visitor, liked, begin))
        await asyncio.sleep(every_s)
    return found


async def _seen(visitor: Visitor, likes: int, begin: float) -> float:
    while time.perf_counter() - begin < PATIENCE_S:
        try:
            value = await visitor.read(LIKES)
        except (FeaturesUnreadable, OSError):
            value = None  # not readable now is not fresh now: the time goes on
        if isinstance(value, int | float) and value >= likes:
            return (time.perf_counter() - begin) * 1_000
        await asyncio.sleep(POLL_S)
    return math.inf


@dataclass(frozen=True)
class Shown:
    """One line of a page, for people's eyes."""

    title: str
    category: str
    source: str


@dataclass(frozen=True)
class TenLikes:
    """A stranger's page before and after ten likes in one category. Times in ms from before the likes' POST."""

    category: str
    before: tuple[Shown, ...]
    after: tuple[Shown, ...]
    visible_ms: float
    page_ms: float
    fallback: str | None = None  # the step that answered the second page instead of the whole pipeline

    def share(self, page: tuple[Shown, ...]) -> int:
        """How many of a page are of the category."""
        return sum(line.category == self.category for line in page)


async def ten_likes(visitor: Visitor, catalogue: Catalogue) -> TenLikes:
    """Asks for a page, likes ten videos of a category that is rare there, waits for the feature, asks again."""
    before, _ = await _page(visitor, catalogue)
    counts = Counter(line.category for line in before)
    common = np.bincount(catalogue.genre, minlength=len(GENRES))
    category = min((genre for genre in GENRES if common[GENRES.index(genre)] > 500), key=lambda genre: counts[genre])
    rows = [int(row) for row in catalogue.of_genre(category)[::-1] if not catalogue.blocked[row]][:10]
    begin = time.perf_counter()
    await visitor.like([catalogue.video_id[row] for row in rows])
    visible_ms = math.inf
    while time.perf_counter() - begin < PATIENCE_S:
        known = await visitor.read(CATEGORIES)
        if isinstance(known, list) and known[:1] == [category] and await visitor.read(LIKES) == len(rows):
            visible_ms = (time.perf_counter() - begin) * 1_000
            break
        await asyncio.sleep(POLL_S)
    after, fallback = await _page(visitor, catalogue)
    return TenLikes(category, before, after, visible_ms, (time.perf_counter() - begin) * 1_000, fallback)


async def _page(visitor: Visitor, catalogue: Catalogue) -> tuple[tuple[Shown, ...], str | None]:
    page = await visitor.phone.feed(visitor.user_id, PAGE)
    shown = []
    for item in page.items:
        row = catalogue.row_of(item.video_id)
        title = catalogue.title(row) if row is not None else item.video_id
        shown.append(Shown(title, item.category or "", item.source or ""))
    return tuple(shown), page.fallback
