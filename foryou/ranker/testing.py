"""A small made-up world without Kafka: for tests, benches and trying weights."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from foryou.contract.ids import uuid7
from foryou.features.operations import HOUR, MINUTE
from foryou.ranker.catalogue import Catalogue
from foryou.ranker.pipeline import PIPELINE, Page, Pipeline, rank
from foryou.ranker.query import FeedRequest, Query
from foryou.ranker.rates import ENGAGEMENT
from foryou.ranker.user_features import FeatureValue, UserFeatures
from foryou.ranker.vectors import AppVectors, Shown
from foryou.ranker.weights import Weights
from foryou.ranker.world import World

NOW = 1_795_230_000_000  # 2026-11-21 03:00 UTC
APP = "demo"


def content(event_type: str, video_id: str, time: int = NOW, **fields: Any) -> dict[str, Any]:
    """A content event as it comes out of Kafka; `received_at` is the same time unless said."""
    absent = ("creator_key", "duration_ms", "category", "hashtags", "title", "language", "region", "music_id")
    event = dict.fromkeys((*absent, "published_at", "moderation", "sent_at"))
    event |= {"app_id": APP, "event_type": event_type, "video_id": video_id, "event_time": time, "received_at": time}
    return event | {"event_id": uuid7(time)} | fields


def published(video_id: str, category: str = "cats", creator: str = "uk_creator", **fields: Any) -> dict[str, Any]:
    """A whole publication, an hour ago unless a time is given."""
    time = fields.pop("time", NOW - HOUR)
    fields = {"duration_ms": 15_000, "language": "en", "region": "DE"} | fields
    return content("video_published", video_id, time, category=category, creator_key=creator, **fields)


def relation(
    user_key: str, name: str, thing: str, state: str = "on", time: int = NOW, event_id: str = "e"
) -> dict[str, Any]:
    """A record of relations.v1."""
    who = {"app_id": APP, "user_key": user_key, "relation": name, "object": thing}
    return who | {"state": state, "time": time, "received_at": time, "event_id": event_id}


def tile(
    video_id: str, size: int, start: int, n: int, salt: int = 0, epoch: int = 1, **measures: int
) -> dict[str, Any]:
    """A record of the video engagement topic; measures that are not named are 0."""
    head = {"app_id": APP, "video_id": video_id, "salt": salt, "tile_ms": size, "tile_start": start}
    version = {"epoch": epoch, "n": n, "first_ms": start, "last_ms": start}
    return head | version | {measure.name: measures.get(measure.name, 0) for measure in ENGAGEMENT.measures}


def small_world(videos: Iterable[dict[str, Any]] = (), capacity: int = 4_096) -> World:
    """A world that knows these content events."""
    world = World(Catalogue(capacity))
    for event in videos:
        world.catalogue.apply(event)
    return world


def grown_world(videos: int, categories: int = 40, seed: int = 7, plays: int = 20) -> World:
    """Videos of `videos // 10` creators over a month, a tenth of which were played today, with rates of their own."""
    rng = np.random.default_rng(seed)
    world = World(Catalogue(max(1 << 20, videos)))
    ages = (rng.random(videos) ** 2 * 30 * 24 * HOUR).astype(int).tolist()
    genres = rng.zipf(1.3, videos) % categories
    for i, (age, genre) in enumerate(zip(ages, genres.tolist(), strict=True)):
        creator = f"uk_{int(rng.integers(max(1, videos // 10))):022d}"
        where = {"region": ("DE", "BR", "JP", "US")[i % 4], "language": ("de", "pt", "ja", "en")[i % 4]}
        world.catalogue.apply(published(f"v{i}", f"genre{genre}", creator, time=NOW - age - MINUTE, **where))
    world.rates.advance(NOW)
    for row in rng.choice(videos, videos // 10, replace=False).tolist():
        played = int(rng.integers(1, plays * 2))
        finished = int(rng.binomial(played, rng.beta(2, 4)))
        measures = {"plays": played, "views": played, "finishes": finished, "likes": finished // 8}
        measures |= {"skips": (played - finished) // 2, "watch_ms": played * 8_000}
        hour = NOW - NOW % HOUR - int(rng.integers(0, 20)) * HOUR
        world.rates.apply(tile(f"v{row}", HOUR, hour, played, **measures))
        world.rates.apply(tile(f"v{row}", MINUTE, NOW - NOW % MINUTE - int(rng.integers(90)) * MINUTE, 2, plays=2))
    return world


def vectors_for(world: World, users: Iterable[str], dims: int = 32, seed: int = 9, version: str = "made-up") -> Shown:
    """A vector for every video of the world and for these users; who has which category's video near is by chance."""
    rng = np.random.default_rng(seed)
    keys, ids = tuple(users), tuple(world.catalogue.ids)
    genres = rng.normal(size=(len(world.catalogue.categories), dims))
    videos = genres[world.catalogue.category[: len(ids)]] + rng.normal(size=(len(ids), dims))
    people = rng.normal(size=(len(keys), dims)).astype(np.float32)
    places = {key: place for place, key in enumerate(keys)}
    lengths = np.linalg.norm(videos, axis=1).astype(np.float32)
    vectors = AppVectors(version, ids, videos.astype(np.float32), lengths, people, places)
    return Shown.beside(vectors, world.catalogue)


def query_of(
    world: World,
    user_key: str = "uk_viewer",
    limit: int = 10,
    features: dict[str, FeatureValue] | None = None,
    *,
    weights: Weights | None = None,
    unavailable: bool = False,
    request_id: str = "r1",
    **asked: Any,
) -> Query:
    """A query at NOW, the shelves built anew when something changed."""
    weights = weights or Weights.load()
    world.restock(weights, NOW)
    request = FeedRequest(APP, user_key, limit, request_id, NOW, **asked)
    return Query(request, world, weights, None if unavailable else UserFeatures(NOW, features or {}), world.vectors)


def page_of(world: World, pipeline: Pipeline = PIPELINE, **asked: Any) -> Page:
    """The page for such a query."""
    return rank(query_of(world, **asked), pipeline)
