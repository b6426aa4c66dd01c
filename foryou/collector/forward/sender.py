"""What the forwarder asks of Kafka, and Kafka itself."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka.admin import AdminClient

from foryou.service.kafka_client import COMES_BACK

MAX_RECORD_BYTES = 3 << 20
PROBE_S = 2.0
LOOK_S = 5.0
STUCK_S = 60.0  # a Kafka that is only slow takes something in that time; one that takes nothing gets a new session
_NEVER = (  # errors of one record, which no second try mends
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.RECORD_LIST_TOO_LARGE,
)


class Away(Exception):
    """Kafka does not take records now. What was sent since the last flush may or may not be there: send it again."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A record that Kafka will never take, and why."""

    topic: str
    key: bytes
    value: bytes
    why: str


class Sender(Protocol):
    """One session with Kafka. After Away it is of no use any more."""

    def topic_ids(self, topics: Collection[str]) -> Mapping[str, str]:
        """The ids of the topics that are there. Raises Away."""

    def send(self, topic: str, key: str, value: bytes) -> None:
        """Hands a record over; order is kept by key. Raises Away."""

    def flush(self) -> list[Unwanted]:
        """Returns when Kafka has all that was sent, but for what it will never take. Raises Away."""

    def idle(self) -> None:
        """Nothing is to be sent: listens for news. Raises Away."""

    def close(self) -> None:
        """Ends the session; does not wait."""


class KafkaSender:
    """An idempotent producer that tries for ever, until all brokers are away or `stopping` says so."""

    def __init__(self, bootstrap: str, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping
        self._away: str | None = None
        self._unwanted: list[Unwanted] = []
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, **COMES_BACK})
        self._ids: Mapping[str, str] = {}
        self._asked: dict[str, Future[Any]] = {}
        self._asked_s = 0.0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": "foryou-forwarder",
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # Java's; librdkafka's own default puts keys elsewhere
                "linger.ms": 2,
                "batch.num.messages": 10_000,
                "compression.type": "lz4",
                "message.timeout.ms": 0,  # no end
                "message.max.bytes": MAX_RECORD_BYTES,
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 65_536,
                **COMES_BACK,
                "socket.timeout.ms": 10_000,
                "socket.nagle.disable": True,
                "delivery.report.only.error": True,
                "on_delivery": self._on_delivery,
                "error_cb": self._on_error,
                "logger": logging.getLogger("librdkafka"),
                "log.connection.close": False,
            }
        )

    def topic_ids(self, topics: Collection[str]) -> Mapping[str, str]:
        self._ids = self._found(self._ask(topics), PROBE_S + 1.0)
        return self._ids

    def _ask(self, topics: Collection[str]) -> "dict[str, Future[Any]]":
        self._asked_s = time.monotonic()
        try:
            asked: dict[str, Future[Any]] = self._admin.describe_topics(
                TopicCollection(list(topics)), request_timeout=PROBE_S
            )
        except KafkaException as error:
            raise Away(str(error)) from error
        return asked

    def _found(self, asked: "dict[str, Future[Any]]", timeout_s: float) -> Mapping[str, str]:
        found = {}
        for name, future in asked.items():
            try:
                found[name] = str(future.result(timeout_s).topic_id)
            except (KafkaException, TimeoutError) as error:
                known = isinstance(error, KafkaException)
                if not known or error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise Away(str(error)) from error
        return found

    def _look(self) -> None:
        """Asks now and then, without waiting for the answer, whether the topics are still those of the beginning."""
        if self._asked and all(future.done() for future in self._asked.values()):
            asked, self._asked = self._asked, {}
            if self._found(asked, 0.0) != self._ids:
                raise Away("a topic was made anew")
        elif not self._asked and self._ids and time.monotonic() - self._asked_s > LOOK_S:
            self._asked = self._ask(self._ids)

    def send(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(0.05)
                self._check()
            except KafkaException as error:
                if error.args[0].code() not in _NEVER:
                    raise Away(str(error)) from error
                self._unwanted.append(Unwanted(topic, key.encode(), value, str(error)))
                return
            else:
                return

    def flush(self) -> list[Unwanted]:
        least, since_s = len(self._producer), time.monotonic()
        while left := self._producer.flush(0.5):
            self._check()
            if left < least:
                least, since_s = left, time.monotonic()
            elif time.monotonic() - since_s > STUCK_S:
                raise Away(f"it has taken nothing for {STUCK_S:.0f} s")
        self._check()
        unwanted, self._unwanted = self._unwanted, []
        return unwanted

    def idle(self) -> None:
        self._producer.poll(0)
        self._check()

    def close(self) -> None:
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._asked.clear()
        del self._producer, self._admin  # it holds us, and we hold it: its threads wait for no collector of garbage

    def _check(self) -> None:
        if self._away is not None:
            raise Away(self._away)
        if self._stopping():
            raise Away("stopping")
        self._look()

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        if error.code() in _NEVER:
            self._unwanted.append(
                Unwanted(str(message.topic()), message.key() or b"", message.value() or b"", error.str())
            )
        else:
            self._away = self._away or error.str()

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = self._away or error.str()
