"""Feeds go to feed.served.v1 after the answer. While Kafka is away they queue; what does not fit is counted."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
from confluent_kafka import Producer

from foryou.contract.codec import Encoder
from foryou.contract.topics import TOPICS
from foryou.service.kafka_client import COMES_BACK
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

TOPIC = TOPICS["feed.served.v1"]
QUEUE = 10_000  # feeds; some 8 kB each
STOP_S = 2.5
RETRY_S = 0.5

Record = dict[str, Any]


class ServedLog(Protocol):
    """Where served feeds go. Never waits and never fails."""

    def put(self, record: Record) -> None: ...


class MemoryServedLog(list[Record]):
    """Served feeds in a list: the public double."""

    def put(self, record: Record) -> None:
        """Keeps it."""
        self.append(record)


class KafkaServedLog:
    """Encodes and produces in a thread of its own, acks=all; undelivered feeds are counted and logged by request id."""

    def __init__(self, bootstrap: str, encoder: Callable[[], Encoder], metrics: Metrics, most: int = QUEUE) -> None:
        self._thread = threading.Thread(target=self._run, name="served log", daemon=True)
        self._encoder = encoder
        self._queue: queue.Queue[Record] = queue.Queue(most)
        self._errors = metrics.counter("foryou_ranker_served_log_errors_total")
        self._stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,  # what a kill -9 can lose of the memory of served pages
                "compression.type": "lz4",
                "queue.buffering.max.messages": QUEUE,
                "queue.buffering.max.kbytes": 65_536,
                "message.timeout.ms": 0,  # Kafka may be away for long: bounded by room, not by time
                **COMES_BACK,
                "log_level": 2,
            }
        )

    def start(self) -> None:
        """Begins to produce, in a thread of its own."""
        self._thread.start()

    def put(self, record: Record) -> None:
        """Takes a feed; counts it as lost when the queue is full."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost(record["request_id"], "the queue is full")

    def stop(self) -> None:
        """Hands over what is queued, within STOP_S, and ends."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        encode = self._connect()
        deadline: float | None = None
        while True:
            if self._stopping.is_set():
                deadline = deadline or time.monotonic() + STOP_S * 0.8
                if self._queue.empty() or time.monotonic() > deadline:
                    break
            try:
                record = self._queue.get(timeout=0.05)
            except queue.Empty:
                self._producer.poll(0)
                continue
            if encode is not None:
                self._produce(record, encode, deadline)
        unsent = self._producer.flush(max(0.1, (deadline or 0) - time.monotonic()))
        left = unsent + self._queue.qsize()
        if left:
            self._errors.inc(left)
            log.error("served feeds were not delivered before the end", extra={"feeds": left})

    def _connect(self) -> Encoder | None:
        while not self._stopping.is_set():
            try:
                return self._encoder()
            except httpx.HTTPError as error:
                log.warning("the registry does not answer; feeds are queued", extra={"why": type(error).__name__})
                self._stopping.wait(RETRY_S)
        return None

    def _produce(self, record: Record, encode: Encoder, deadline: float | None) -> None:
        request_id: str = record["request_id"]
        try:
            value = encode(record)
        except (ValueError, TypeError, KeyError, OverflowError) as error:  # our own record does not fit our own schema
            self._lost(request_id, f"{type(error).__name__}: {error}")
            return
        key = f"{record['app_id']}|{record['user_key']}"
        while True:
            try:
                self._producer.produce(
                    TOPIC.name,
                    value,
                    key,
                    on_delivery=lambda error, _: self._lost(request_id, error.str()) if error is not None else None,
                )
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)
                if self._stopping.is_set() and (deadline is None or time.monotonic() > deadline):
                    self._lost(request_id, "Kafka did not take it before the end")
                    return

    def _lost(self, request_id: str, why: str) -> None:
        self._errors.inc()
        log.error("a served feed was not logged", extra={"request_id": request_id, "why": why})
