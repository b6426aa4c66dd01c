"""`python -m foryou.ranker`: the feed API. Wires the topics, the feature store and the door."""

import asyncio
import logging
import os
import sys
import threading
import time
from typing import Any

from foryou.contract.codec import Encoder, Record, Registry
from foryou.contract.consent import Law
from foryou.contract.schemas import AvroSchema, projection, schema
from foryou.ranker.api import add_feed
from foryou.ranker.feast_features import FeastFeatures
from foryou.ranker.feed_door import FeedDoor
from foryou.ranker.rates import ENGAGEMENT
from foryou.ranker.side_effects.served_log import TOPIC as SERVED
from foryou.ranker.side_effects.served_log import KafkaServedLog
from foryou.ranker.vector_follower import VectorFollower
from foryou.ranker.weights import Weights
from foryou.ranker.world import Worlds
from foryou.service import consents, logs
from foryou.service.guard import Guard
from foryou.service.metrics import Metrics
from foryou.service.serving import serve
from foryou.service.settings import Settings
from foryou.service.topic_follower import TopicFollower
from foryou.service.web import Router

log = logging.getLogger("foryou.ranker")

RESTOCK_S = (0.5, 2.5)  # between two builds of the shelves: the least, and the most that publishing may take of its 5 s
RESTOCK_SHARE = 20  # else the build may take one part in so many of a core
VIEWERS_READ = {"app_id", "user_key", "items", "video_id"}  # of a served feed: half the time that all of it takes
SWITCH_S = 0.001  # readers of topics hold the interpreter for this long at most while a feed waits for it


class Ranker:
    """The parts of one ranker process, and what they lack."""

    def __init__(self, settings: Settings, law: Law) -> None:
        self.metrics, self.weights, self.worlds = Metrics(), Weights.load(), Worlds(law=law)
        registry = Registry(settings.registry_url)
        self.features = FeastFeatures(settings.home / "store" / "reader.yaml")
        self.served = KafkaServedLog(settings.kafka, lambda: _encoder(registry), self.metrics)

        def follow(topic: str, apply: Any, reader: AvroSchema | None = None, **more: Any) -> TopicFollower:
            return TopicFollower(settings.kafka, topic, registry.decoder(reader), apply, self.metrics, **more)

        content = follow("events.content.v1", self._content)
        relations = follow("relations.v1", lambda word: self.worlds[word["app_id"]].viewers.apply(word))
        accounts = follow("events.account.v1", self._account, projection(schema("account"), consents.READ))
        # Rows are the catalogue's: what speaks of videos is read after it.
        served = follow(SERVED.name, self._was_served, projection(schema(SERVED.schema), VIEWERS_READ), after=[content])
        engagement = follow(ENGAGEMENT.topic, self._engagement, after=[content], tick=self._advance)
        self.needed = (content, relations, served, accounts)  # without these a page could break a promise
        self.followers = (*self.needed, engagement)
        self.vectors = VectorFollower(settings.home / "lake" / "models" / "embeddings", self.worlds, self.metrics)
        self._stopping = threading.Event()

    def start(self, _: asyncio.AbstractEventLoop) -> None:
        """Starts every thread."""
        sys.setswitchinterval(SWITCH_S)
        self.features.start()
        self.served.start()
        for follower in self.followers:
            follower.start()
        self.vectors.start()
        threading.Thread(target=self._restock, name="restock", daemon=True).start()

    def stop(self) -> None:
        """Ends them, the served log last."""
        self._stopping.set()
        for follower in self.followers:
            follower.stop()
        self.vectors.stop()
        self.features.stop()
        self.served.stop()

    def waiting_for(self) -> list[str]:
        """Topics whose content is not in memory yet."""
        return [follower.topic for follower in self.needed if not follower.caught_up.is_set()]

    def detail(self) -> dict[str, Any]:
        """What is not as it should be although feeds are answered."""
        stale = {follower.topic: follower.stale for follower in self.followers if follower.stale is not None}
        return {
            "model_version": self.weights.version,
            "vectors": self.vectors.version or self.vectors.lacks,
            "videos": {app: len(world.catalogue) for app, world in list(self.worlds.items())},
            **({"stale": stale} if stale else {}),
            **({"features": self.features.lacks} if self.features.lacks else {}),
        }

    def _content(self, event: Record) -> None:
        self.worlds[event["app_id"]].catalogue.apply(event)

    def _account(self, event: Record) -> None:
        self.worlds[event["app_id"]].consents.apply(event)

    def _was_served(self, feed: Record) -> None:
        world = self.worlds[feed["app_id"]]
        rows = (world.catalogue.find(item["video_id"]) for item in feed["items"])
        world.viewers.mark_served(feed["user_key"], [row for row in rows if row >= 0])

    def _engagement(self, tile: Record) -> None:
        self.worlds[tile["app_id"]].rates.apply(tile)

    def _advance(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for world in list(self.worlds.values()):
            world.rates.advance(now_ms)

    def _restock(self) -> None:
        least, most = RESTOCK_S
        pause = least
        while not self._stopping.wait(pause):
            started = time.perf_counter()
            try:
                for world in list(self.worlds.values()):
                    world.restock(self.weights, time.time_ns() // 1_000_000)
                eligible = sum(world.shelves.eligible for world in self.worlds.values() if world.shelves)
                self.metrics.gauge("foryou_ranker_catalogue_videos").set(eligible)
            except Exception:  # the thread's own boundary: old shelves are better than none
                log.exception("building the shelves failed; the old ones stay")
            pause = min(most, max(least, RESTOCK_SHARE * (time.perf_counter() - started)))


def _encoder(registry: Registry) -> Encoder:
    return registry.encoder(SERVED.subject, schema(SERVED.schema))


def main() -> int:
    """Serves until SIGTERM; returns the exit status."""
    logs.configure("ranker")
    logging.getLogger("feast").setLevel(logging.WARNING)
    try:
        settings = Settings.load(os.environ)
        gate, secrets = settings.gate(), settings.secrets()
    except ValueError as error:
        sys.exit(f"foryou.ranker: {error}")
    ranker = Ranker(settings, gate.consent.law())
    door = FeedDoor(
        secrets.callers,
        secrets.tokens,
        secrets.identity,
        ranker.worlds,
        ranker.features,
        ranker.served,
        ranker.weights,
        ranker.metrics,
        ranker.waiting_for,
    )
    body_s, guard = gate.connections.body_s, Guard(gate, ranker.metrics)
    router = Router(
        ranker.metrics,
        ranker.waiting_for,
        detail=ranker.detail,
        body_timeout_s=body_s,
        guard=guard,
        cors=settings.cors,
    )
    add_feed(router, door)
    listening = settings.listening("ranker")
    serve(router, settings.host, settings.ports["ranker"], start=ranker.start, stop=ranker.stop, listening=listening)
    return 0


if __name__ == "__main__":
    sys.exit(main())
