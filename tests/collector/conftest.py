import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.letters import Letters
from foryou.collector.log.event_log import MemoryLog, encode
from foryou.contract.codec import Decoder, Encoder
from foryou.contract.events import Lane
from foryou.contract.gate import Gate
from foryou.contract.identity import Identity
from foryou.contract.schemas import schema
from foryou.contract.seal import Seal
from foryou.contract.secret_ring import new_ring
from foryou.contract.topics import FLAGGED, REJECTED, TOPICS
from foryou.service.cors import Cors
from foryou.service.metrics import Metrics
from foryou.service.testing import Answer, ask, known_keys
from foryou.service.web import Router

NOW = 1_790_000_000_000  # 2026-09-21
KEY = "fy_test"
TOPICS_WRITTEN = [*(lane.value for lane in Lane), FLAGGED, REJECTED]


@dataclass
class Collector:
    """A collector whose log is in memory and whose clock stands still."""

    identity: Identity = field(default_factory=lambda: Identity(b"s" * 32))
    log: MemoryLog = field(default_factory=MemoryLog)
    metrics: Metrics = field(default_factory=Metrics)
    clock_ms: Callable[[], int] = lambda: NOW

    def __post_init__(self):
        schemas = {name: schema(TOPICS[name].schema) for name in TOPICS_WRITTEN}
        self.encoders = {name: Encoder(schemas[name], number) for number, name in enumerate(TOPICS_WRITTEN, 1)}
        self.decode = Decoder(lambda number: schemas[TOPICS_WRITTEN[number - 1]])
        self.gate = Gate(self.identity)
        ring = new_ring()
        self.seal = Seal(lambda: ring, "dead letter")
        door = self.door = Door(
            known_keys({KEY: "demo"}),
            self.gate,
            self.log,
            self.metrics,
            Letters(self.seal),
            clock_ms=self.clock_ms,
        )
        self.router = Router(self.metrics, self.log.waiting_for, cors=Cors())
        add_doors(self.router, door)

    def keys_may(self, scopes):
        """From here on the key has these scopes."""
        self.door._callers = known_keys({KEY: "demo"}, scopes)

    def ask(self, method, path, body=b"", headers=None) -> Answer:
        return asyncio.run(ask(self.router, method, path, body, {"authorization": f"Bearer {KEY}", **(headers or {})}))

    def post(self, body, content_type="application/json") -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", "/v1/events", raw, {"content-type": content_type})

    def records(self, topic) -> list[dict]:
        """The records as Avro, so that each is known to fit its schema."""
        return [self.decode(self.encoders[topic](record.record)) for record in self.log.of(topic)]

    def stored(self) -> bytes:
        """All that became durable, as bytes."""
        return encode(self.log.records)

    def keys(self, topic) -> list[str]:
        return [record.key for record in self.log.of(topic)]

    def rejected(self) -> list[dict]:
        """The dead letters, opened; without what only a replay needs (test_dead_letters.py)."""
        letters = [{**letter, "body": self.seal.open(letter["body"])} for letter in self.records(REJECTED)]
        extra = {"sealed_by", "way", "body_bytes", "kept_bytes", "contract"}
        return [{name: value for name, value in letter.items() if name not in extra} for letter in letters]

    def counted(self, what) -> float:
        lanes = [*(lane.value for lane in Lane), FLAGGED, "unknown"]
        return sum(self.metrics.value(f"foryou_collector_{what}_total", lane=lane) for lane in lanes)


@pytest.fixture
def collector():
    return Collector()


@pytest.fixture
def like():
    """A valid event; pass what shall be different."""

    def make(**changes):
        event = {"event_type": "like", "user_id": "u1", "video_id": "v1", "event_time": NOW - 50, **changes}
        return {name: value for name, value in event.items() if value is not None}

    return make
