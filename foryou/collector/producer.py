"""The log behind the door: Kafka, and a double in memory that keeps the same promises (tests/collector/log_suite.py).

`append` returns when every record is durable (acks=all), or raises LogUnavailable: then the client must be told to
send again. What Kafka took nevertheless, before it failed, is counted as unanswered and de-duplicated downstream.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

ACK_BOUND_MS = 4_000  # an unacknowledged record is given up by then, looked at once a second: 503 after 5 s at most
PROBE_S = 0.5
MAX_RECORD_BYTES = 1 << 20


class LogUnavailable(Exception):
    """The log did not take everything; nothing may be acknowledged."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record on its way: topic, raw UTF-8 key, encoded value."""

    topic: str
    key: str
    value: bytes


class EventLog(Protocol):
    """Where accepted events become durable."""

    def waiting_for(self) -> list[str]:
        """What the log lacks before it can take records; empty when it is ready."""

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Returns when all records are durable. Raises LogUnavailable."""

    def close(self) -> None:
        """Lets what is under way end, bounded, and stops."""


class MemoryLog:
    """A log in memory, for tests and examples. `fail_next` makes the next appends fail, as Kafka does when it dies."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.up = True
        self._failures = 0

    def fail_next(self, appends: int = 1) -> None:
        """The next `appends` appends take nothing and raise."""
        self._failures = appends

    def waiting_for(self) -> list[str]:
        return [] if self.up else ["kafka"]

    async def append(self, records: Sequence[LogRecord]) -> None:
        await asyncio.sleep(0)
        if not self.up or self._failures:
            self._failures = max(0, self._failures - 1)
            raise LogUnavailable("the log in memory was told to fail")
        if any(len(record.value) > MAX_RECORD_BYTES for record in records):
            raise LogUnavailable(f"a record has more than {MAX_RECORD_BYTES:,} bytes")
        self.records.extend(records)

    def close(self) -> None:
        self.up = False

    def of(self, topic: str) -> list[LogRecord]:
        """The records of one topic, in order."""
        return [record for record in self.records if record.topic == topic]


class _Pending:
    """One append. `verdicts`, `taken` and `error` belong to the polling thread, `expected` and `waiter` to the loop."""

    __slots__ = ("_done", "error", "expected", "taken", "timed_out", "verdicts", "waiter")

    def __init__(self, waiter: "asyncio.Future[None]", expected: int, done: "Callable[[_Pending], None]") -> None:
        self.waiter = waiter
        self.expected = expected
        self.verdicts = 0
        self.taken = 0
        self.error: str | None = None
        self.timed_out = False
        self._done = done

    def delivered(self, error: KafkaError | None, _: Any) -> None:
        """Kafka's verdict on one record."""
        if error is None:
            self.taken += 1
        else:
            self.error = error.str()
            self.timed_out = error.code() == KafkaError._MSG_TIMED_OUT
        self.verdicts += 1
        if self.verdicts == self.expected:
            self._done(self)


class KafkaLog:
    """One idempotent producer, one polling thread; waiting appends are woken in batches, once per poll."""

    def __init__(
        self, bootstrap: str, topics: Iterable[str], metrics: Metrics, *, ack_bound_ms: int = ACK_BOUND_MS
    ) -> None:
        self._topics = frozenset(topics)
        self._unanswered = metrics.counter("foryou_collector_unanswered_total")
        self._queue = metrics.gauge("foryou_collector_queue_records")
        self._queue.set_function(lambda: len(self._producer))
        self._up_gauge = metrics.gauge("foryou_collector_kafka_up")
        self._lacks: list[str] = ["kafka"]
        self._down = threading.Event()  # set when Kafka is known to be away: appends fail at once, a probe looks for it
        self._down.set()
        self._closing = False
        self._done: list[_Pending] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failed = False
        self._bootstrap = bootstrap
        self._ack_bound_ms = ack_bound_ms
        self._producer = self._connect()
        self._thread = threading.Thread(target=self._poll, name="kafka-poll", daemon=True)
        self._thread.start()

    def waiting_for(self) -> list[str]:
        return list(self._lacks)

    async def append(self, records: Sequence[LogRecord]) -> None:
        if self._down.is_set():
            raise LogUnavailable(f"waiting for {', '.join(self._lacks) or 'kafka'}")
        loop = self._loop = asyncio.get_running_loop()
        pending = _Pending(loop.create_future(), len(records), self._done.append)
        produce, delivered = self._producer.produce, pending.delivered
        for sent, record in enumerate(records):
            try:
                produce(record.topic, record.value, record.key, on_delivery=delivered)
            except (BufferError, KafkaException) as error:  # the queue is full, or Kafka would never take this record
                pending.waiter.cancel()  # nobody waits for those already sent; their verdicts are counted all the same
                pending.expected = sent
                if pending.verdicts == sent:
                    self._settle([pending])
                raise LogUnavailable(str(error)) from error
        await pending.waiter

    def close(self) -> None:
        self._producer.flush(1.0)
        self._closing = True
        self._thread.join(0.7)

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "client.id": "foryou-collector",
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # Java's; librdkafka's own default puts keys elsewhere
                "linger.ms": 1,
                "compression.type": "lz4",
                "message.timeout.ms": self._ack_bound_ms,
                "message.max.bytes": MAX_RECORD_BYTES + 65_536,
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 131_072,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 1_000,
                "socket.timeout.ms": 10_000,
                "socket.nagle.disable": True,
                "error_cb": self._on_error,
                "logger": logging.getLogger("librdkafka"),
                "log.connection.close": False,
            }
        )

    def _poll(self) -> None:
        """The polling thread: delivers verdicts, wakes waiters, and looks for Kafka while it is away."""
        while not self._closing:
            if not self._down.is_set():
                self._producer.poll(0.1)
                self._wake()
                continue
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer.poll(0)
            self._wake()
            if self._failed:
                self._producer, self._failed = self._connect(), False
            self._probe()
        self._wake()

    def _wake(self) -> None:
        done = self._done[:]
        if not done:
            return
        del self._done[: len(done)]
        if any(pending.timed_out for pending in done):
            self._away("records timed out")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, done)

    def _settle(self, done: list[_Pending]) -> None:
        for pending in done:
            failed = pending.error is not None or pending.waiter.cancelled()
            if failed and pending.taken:
                self._unanswered.inc(pending.taken)
                pending.taken = 0
            if pending.waiter.done():
                continue
            if pending.error is None:
                pending.waiter.set_result(None)
            else:
                pending.waiter.set_exception(LogUnavailable(pending.error))

    def _probe(self) -> None:
        """Asks for the metadata; Kafka is back when it answers and has our topics."""
        try:
            found = self._producer.list_topics(timeout=PROBE_S).topics
        except KafkaException:
            self._lacks = ["kafka"]
            self._up_gauge.set(0)
            return
        missing = sorted(self._topics - {name for name, topic in found.items() if topic.error is None})
        if missing:
            self._lacks = [f"topic {name}" for name in missing]
            threading.Event().wait(PROBE_S)
            return
        self._lacks = []
        self._down.clear()
        self._up_gauge.set(1)
        log.info("kafka is there")

    def _on_error(self, error: KafkaError) -> None:
        """librdkafka's own news; called in the polling thread."""
        if error.fatal():
            log.error("the producer failed for good and is made anew", extra={"error": error.str()})
            self._failed = True
            self._away(error.str())
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away(error.str())

    def _away(self, why: str) -> None:
        if not self._down.is_set():
            log.warning("kafka is away", extra={"error": why})
            self._lacks = ["kafka"]
            self._up_gauge.set(0)
            self._down.set()
