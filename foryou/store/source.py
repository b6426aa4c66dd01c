"""Where tiles come from: Kafka, read without a consumer group, and the same thing in memory.

The store's offsets live in the store, beside the values (foryou.store.rows): no group, no commits, no rebalancing. A
topic is told apart from a later topic of the same name by its id, so that a recreated Kafka is noticed even when its
offsets look right.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from foryou.service.kafka_client import COMES_BACK

Position = tuple[str, int]

SLICE = 100  # records of patient topics between two looks at the others: some 5 ms of merging


class SourceUnavailableError(Exception):
    """Nothing can be read now; the text says what is missing. Trying again later is right."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One record as it lies in a topic; `value` None is a tombstone. Times in UTC ms."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a partition holds: offsets from `first` up to, but not including, `end`."""

    first: int
    end: int


class Source(Protocol):
    """What the writer needs from a log of records."""

    def describe(self, topics: Iterable[str]) -> dict[str, str]:
        """topic → id, for those that exist. Raises SourceUnavailableError."""
        ...

    def held(self, topics: Sequence[str]) -> dict[Position, Held]:
        """What each partition of the topics holds. Raises SourceUnavailableError."""
        ...

    def start(self, positions: Mapping[Position, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        ...

    def fetch(self, limit: int) -> list[Fetched]:
        """What has arrived, waiting a little. Raises SourceUnavailableError when the offsets asked for are gone."""
        ...

    def lag(self) -> dict[Position, int]:
        """Records that have arrived and were not fetched yet, as far as known."""
        ...

    def close(self) -> None: ...


class KafkaSource:
    """Kafka. Waits up to `idle_s` for a first record, then gathers for `gather_s`: the latency that batching costs.

    Topics that are `patient` are written in bursts (the job gathers their changes for seconds). They have a consumer of
    their own and come at most SLICE records at a time, so that nothing else waits behind a burst.
    """

    def __init__(
        self,
        bootstrap: str,
        patient: frozenset[str] = frozenset(),
        *,
        idle_s: float = 0.25,
        gather_s: float = 0.005,
        timeout_s: float = 3.0,
    ) -> None:
        self._bootstrap, self._patient_topics = bootstrap, patient
        self._idle_s, self._gather_s, self._timeout_s = idle_s, gather_s, timeout_s
        self._connect()
        self._more = False  # lies with the patient: it is not waited for the prompt

    def _connect(self) -> None:
        common = {
            "bootstrap.servers": self._bootstrap,
            **COMES_BACK,
            "log_level": 2,  # librdkafka repeats every refused connection; the writer says once what it waits for
        }
        self._admin = AdminClient(common)
        consuming = common | {
            "group.id": "foryou-store",  # librdkafka wants one; nothing is ever committed under it
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # offsets out of range must be said, not skipped
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 32_768,
            "enable.partition.eof": False,
        }
        self._prompt, self._patient = Consumer(consuming), Consumer(consuming)

    def _lost(self, error: KafkaException) -> SourceUnavailableError:
        """Begins with new clients: those that have lost their broker were seen not to find it again for minutes."""
        self.close()
        self._connect()
        return SourceUnavailableError(f"Kafka at {self._bootstrap} does not answer: {error.args[0].str()}")

    def describe(self, topics: Iterable[str]) -> dict[str, str]:
        ids: dict[str, str] = {}
        try:
            futures = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout_s)
            for topic, future in futures.items():
                try:
                    ids[topic] = str(future.result().topic_id)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
        except KafkaException as error:
            raise self._lost(error) from error
        return ids

    def held(self, topics: Sequence[str]) -> dict[Position, Held]:
        found: dict[Position, Held] = {}
        try:
            for topic in topics:
                for partition in self._prompt.list_topics(topic, self._timeout_s).topics[topic].partitions:
                    first, end = self._prompt.get_watermark_offsets(
                        TopicPartition(topic, partition), timeout=self._timeout_s
                    )
                    found[topic, partition] = Held(first, end)
        except KafkaException as error:
            raise self._lost(error) from error
        return found

    def start(self, positions: Mapping[Position, int]) -> None:
        for consumer, patient in ((self._prompt, False), (self._patient, True)):
            consumer.assign(
                [
                    TopicPartition(topic, part, offset)
                    for (topic, part), offset in positions.items()
                    if (topic in self._patient_topics) is patient
                ]
            )

    def fetch(self, limit: int) -> list[Fetched]:
        first = self._prompt.poll(0 if self._more else self._idle_s)
        messages = [] if first is None else [first, *self._prompt.consume(limit - 1, self._gather_s)]
        late = self._patient.consume(min(limit, SLICE), 0)
        self._more = bool(late)
        fetched: list[Fetched] = []
        for message in [*messages, *late]:
            error = message.error()
            if error is None:
                topic, partition, offset = message.topic(), message.partition(), message.offset()
                key, value, stamp = message.key(), message.value(), message.timestamp()[1]
                fetched.append(Fetched(topic, partition, offset, key or b"", value, stamp))
            elif error.code() in (
                KafkaError._AUTO_OFFSET_RESET,
                KafkaError.OFFSET_OUT_OF_RANGE,
                KafkaError.UNKNOWN_TOPIC_OR_PART,
                KafkaError._UNKNOWN_PARTITION,
                KafkaError._UNKNOWN_TOPIC,
            ):
                raise SourceUnavailableError(f"{message.topic()} is not what it was: {error.str()}")
            # Everything else (a broker that went away) librdkafka mends by itself.
        return fetched

    def lag(self) -> dict[Position, int]:
        behind: dict[Position, int] = {}
        for consumer in (self._prompt, self._patient):
            for position in consumer.position(consumer.assignment()):
                _, end = consumer.get_watermark_offsets(position, cached=True)
                if end > 0 and position.offset >= 0:
                    behind[position.topic, position.partition] = max(0, end - position.offset)
        return behind

    def close(self) -> None:
        self._prompt.close()
        self._patient.close()


class MemorySource:
    """A log in memory: for tests, examples and trying the store without Kafka."""

    def __init__(self) -> None:
        self._logs: dict[str, list[list[Fetched]]] = {}
        self._ids: dict[str, str] = {}
        self._next: dict[Position, int] = {}
        self._made = 0
        self._lock = threading.Lock()
        self.available = True

    def create(self, topic: str, partitions: int = 1) -> None:
        """Makes (or makes anew, empty and under another id) a topic."""
        self._made += 1
        self._logs[topic] = [[] for _ in range(partitions)]
        self._ids[topic] = str(self._made)

    def append(self, topic: str, key: bytes, value: bytes | None, partition: int = 0, timestamp_ms: int = 0) -> int:
        """Adds a record and returns its offset."""
        with self._lock:
            log = self._logs[topic][partition]
            log.append(Fetched(topic, partition, len(log), key, value, timestamp_ms))
            return len(log) - 1

    def describe(self, topics: Iterable[str]) -> dict[str, str]:
        if not self.available:
            raise SourceUnavailableError("the memory source was switched off")
        return {topic: self._ids[topic] for topic in topics if topic in self._ids}

    def held(self, topics: Sequence[str]) -> dict[Position, Held]:
        return {(topic, i): Held(0, len(log)) for topic in topics for i, log in enumerate(self._logs[topic])}

    def start(self, positions: Mapping[Position, int]) -> None:
        self._next = dict(positions)

    def fetch(self, limit: int) -> list[Fetched]:
        if not self.available:
            return []
        fetched: list[Fetched] = []
        with self._lock:
            for (topic, partition), offset in self._next.items():
                log = self._logs[topic][partition]
                if offset > len(log):
                    raise SourceUnavailableError(f"{topic} is not what it was: offset {offset} of {len(log)}")
                records = log[offset : offset + limit - len(fetched)]
                fetched += records
                self._next[topic, partition] = offset + len(records)
        return fetched

    def lag(self) -> dict[Position, int]:
        return {(topic, part): len(self._logs[topic][part]) - offset for (topic, part), offset in self._next.items()}

    def close(self) -> None:
        """Nothing to let go of."""
