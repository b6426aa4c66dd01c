"""Where records come from: one topic of Kafka, read without a consumer group, and the same thing in memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from foryou.service.kafka_client import COMES_BACK

_GONE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
RANGE_S = 60.0  # what a planned range may take to be read again


class SourceUnavailableError(Exception):
    """Nothing can be read now; the text says what is missing. Trying again later is right."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One record's value and where it lies."""

    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """What a partition holds: offsets from `first` up to, but not including, `end`."""

    first: int
    end: int


class Source(Protocol):
    """What the loader needs of a topic. Every method raises SourceUnavailableError."""

    def describe(self) -> tuple[str, dict[int, Held]]:
        """The topic's id and what its partitions hold."""
        ...

    def start(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on."""
        ...

    def fetch(self, limit: int, wait_s: float) -> list[Fetched]:
        """Up to `limit` records, waiting at most `wait_s` for them; tombstones are left out."""
        ...

    def fetch_range(self, ranges: Mapping[int, tuple[int, int]]) -> list[Fetched]:
        """All records of these offsets, and no others; what `start` asked for is forgotten."""
        ...

    def close(self) -> None: ...


class KafkaSource:
    """A topic of Kafka."""

    def __init__(self, bootstrap: str, topic: str, *, timeout_s: float = 5.0) -> None:
        self._bootstrap, self._topic, self._timeout_s = bootstrap, topic, timeout_s
        self._connect()

    def _connect(self) -> None:
        common = {
            "bootstrap.servers": self._bootstrap,
            **COMES_BACK,
            "log_level": 2,
        }
        quiet = logging.getLogger("librdkafka")
        self._admin = AdminClient(common, logger=quiet)
        self._consumer = Consumer(
            common
            | {
                "group.id": "foryou-analytics",  # librdkafka wants one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",  # offsets out of range must be said, not skipped
                "queued.max.messages.kbytes": 32_768,
                "queued.min.messages": 50_000,
            },
            logger=quiet,
        )

    def describe(self) -> tuple[str, dict[int, Held]]:
        try:
            future = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=self._timeout_s)[
                self._topic
            ]
            topic_id = str(future.result().topic_id)
            partitions = self._consumer.list_topics(self._topic, self._timeout_s).topics[self._topic].partitions
            held = {}
            for part in partitions:
                where = TopicPartition(self._topic, part)
                held[part] = Held(*self._consumer.get_watermark_offsets(where, timeout=self._timeout_s))
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise SourceUnavailableError(f"topic {self._topic}") from error
            self._consumer.close()  # clients that have lost their broker were seen not to find it again for minutes
            self._connect()
            raise SourceUnavailableError(f"Kafka at {self._bootstrap}: {error.args[0].str()}") from error
        return topic_id, held

    def start(self, positions: Mapping[int, int]) -> None:
        self._consumer.assign([TopicPartition(self._topic, part, offset) for part, offset in positions.items()])

    def fetch(self, limit: int, wait_s: float) -> list[Fetched]:
        fetched = []
        for message in self._consumer.consume(limit, wait_s):
            error = message.error()
            if error is not None:
                if error.code() in _GONE:
                    raise SourceUnavailableError(f"{self._topic} is not what it was: {error.str()}")
            elif (value := message.value()) is not None:
                fetched.append(Fetched(message.partition(), message.offset(), value))
        return fetched

    def fetch_range(self, ranges: Mapping[int, tuple[int, int]]) -> list[Fetched]:
        self.start({part: first for part, (first, _) in ranges.items()})
        found: list[Fetched] = []
        deadline = time.monotonic() + RANGE_S
        behind = dict(ranges)
        while behind:
            if time.monotonic() > deadline:
                raise SourceUnavailableError(f"{self._topic}: the planned range cannot be read again")
            for record in self.fetch(10_000, 0.2):
                if record.partition in ranges and record.offset < ranges[record.partition][1]:
                    found.append(record)
            where = self._consumer.position([TopicPartition(self._topic, part) for part in ranges])
            passed = {each.partition for each in where if each.offset >= ranges[each.partition][1]}
            behind = {part: span for part, span in behind.items() if part not in passed}
        return found

    def close(self) -> None:
        self._consumer.close()


class MemorySource:
    """A topic in memory: for tests and examples."""

    def __init__(self, partitions: int = 1, topic_id: str = "memory") -> None:
        self.topic_id = topic_id
        self._logs: list[list[bytes]] = [[] for _ in range(partitions)]
        self._next: dict[int, int] = {}

    def append(self, value: bytes, partition: int = 0) -> int:
        """Adds a record and returns its offset."""
        self._logs[partition].append(value)
        return len(self._logs[partition]) - 1

    def describe(self) -> tuple[str, dict[int, Held]]:
        return self.topic_id, {part: Held(0, len(log)) for part, log in enumerate(self._logs)}

    def start(self, positions: Mapping[int, int]) -> None:
        self._next = dict(positions)

    def fetch(self, limit: int, wait_s: float) -> list[Fetched]:
        del wait_s
        fetched: list[Fetched] = []
        for part, offset in self._next.items():
            records = self._logs[part][offset : offset + limit - len(fetched)]
            fetched += [Fetched(part, offset + nth, value) for nth, value in enumerate(records)]
            self._next[part] = offset + len(records)
        return fetched

    def fetch_range(self, ranges: Mapping[int, tuple[int, int]]) -> list[Fetched]:
        return [
            Fetched(part, offset, self._logs[part][offset])
            for part, (first, end) in ranges.items()
            for offset in range(first, end)
        ]

    def close(self) -> None:
        """Nothing to let go of."""
