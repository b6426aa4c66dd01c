"""Reads one topic into memory: all of it at the start, then as it grows. No consumer group: each process reads all."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from foryou.contract.codec import NotAvro, Record
from foryou.service.kafka_client import COMES_BACK
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

BATCH = 1_000
GATHER_S = 0.05  # how long a batch is waited for: the most that this reader adds to freshness
RETRY_S = 1.0
LOOK_EVERY_S = 5.0  # is Kafka there, how far behind are we, are there more partitions
TIMEOUT_S = 2.0


class TopicFollower:
    """Hands every record to `apply`, those of a partition in order of their offsets, and calls `tick` between batches.

    `after` are followers that must have caught up first. Kafka and the registry may come late, go away and come back.
    After an unforeseen failure all is read again from the beginning: `apply` must bear a record twice. What cannot be
    decoded is skipped and counted.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        decode: Callable[[bytes], Record],
        apply: Callable[[Record], object],
        metrics: Metrics,
        *,
        tick: Callable[[], None] = lambda: None,
        after: Sequence["TopicFollower"] = (),
        process: str = "ranker",
    ) -> None:
        self._thread = threading.Thread(target=self._run, name=f"follow {topic}", daemon=True)
        self.topic = topic
        self.caught_up = threading.Event()  # set once what the topic held at the start is in memory
        self.stale: str | None = None  # why what is in memory may be old
        self.undecodable = 0
        self.read = 0
        self._kafka, self._decode, self._apply = bootstrap, decode, apply
        self._tick, self._after, self._group = tick, tuple(after), f"foryou-{process}"
        self._stopping = threading.Event()
        self._partitions: set[int] = set()
        self._ended: set[int] = set()
        self._looked = 0.0
        self._consumed = metrics.counter(f"foryou_{process}_consumed_total", topic=topic)
        self._lag = metrics.gauge(f"foryou_{process}_lag_records", topic=topic)

    def start(self) -> None:
        """Begins to read, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end; it does within a batch."""
        self._stopping.set()

    def _run(self) -> None:
        # An unforeseen failure restarts the reading from the beginning: folding is idempotent.
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception:  # the thread's own boundary: without it the ranker would grow old quietly
                self.stale = "the reader failed and starts again"
                log.exception("following failed; starting again", extra={"topic": self.topic})
                self._stopping.wait(RETRY_S)

    def _follow(self) -> None:
        for follower in self._after:
            while not follower.caught_up.wait(0.1):
                if self._stopping.is_set():
                    return
        consumer = Consumer(
            {
                "bootstrap.servers": self._kafka,
                "group.id": self._group,  # librdkafka wants one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16_384,
                **COMES_BACK,
                "log_level": 2,  # a refused connection is said once, by us
            }
        )
        self._partitions, self._ended = set(), set()
        try:
            while not self._stopping.is_set():
                self._look(consumer)
                if not self._partitions:
                    self._stopping.wait(RETRY_S / 4)
                    continue
                messages = consumer.consume(BATCH, GATHER_S)
                for message in messages:
                    self._take(message)
                if messages:
                    self._consumed.inc(len(messages))
                self._tick()
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._end_of(message.partition())
            return  # what else there is, librdkafka mends by itself, and _look notices
        value = message.value()
        if value is None:
            return  # a tombstone: the topics that we follow do not take anything back that way
        record = self._decoded(value)
        if record is not None:
            self._apply(record)
        self.read += 1

    def _decoded(self, value: bytes) -> Record | None:
        while not self._stopping.is_set():
            try:
                return self._decode(value)
            except NotAvro as error:
                self.undecodable += 1
                if self.undecodable == 1:
                    log.warning(
                        "a record is not in the wire format; skipped", extra={"topic": self.topic, "why": str(error)}
                    )
                return None
            except httpx.HTTPError as error:  # a schema is still unknown and the registry is away: nothing is skipped
                self.stale = f"the registry does not answer: {type(error).__name__}"
                self._stopping.wait(RETRY_S)
        return None

    def _end_of(self, partition: int) -> None:
        self._ended.add(partition)
        if not self.caught_up.is_set() and self._ended >= self._partitions:
            self.caught_up.set()
            log.info("caught up", extra={"topic": self.topic, "records": self.read})

    def _look(self, consumer: Any) -> None:
        now = time.monotonic()
        if self._partitions and now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            known = consumer.list_topics(self.topic, TIMEOUT_S).topics[self.topic]
            found = set(known.partitions) if known.error is None else set()
            behind = 0
            for partition in self._partitions:
                place = TopicPartition(self.topic, partition)
                _, end = consumer.get_watermark_offsets(place, cached=True)
                (position,) = consumer.position([place])
                behind += max(0, end - position.offset) if position.offset >= 0 and end > 0 else 0
            self._lag.set(behind)
        except KafkaException as error:
            if self.stale is None:
                log.warning("Kafka does not answer", extra={"topic": self.topic, "why": error.args[0].str()})
            self.stale = f"Kafka does not answer: {error.args[0].str()}"
            return
        self.stale = None if found else "the topic does not exist yet"
        new = found - self._partitions
        if new:
            consumer.incremental_assign([TopicPartition(self.topic, partition, OFFSET_BEGINNING) for partition in new])
            self._partitions |= new
