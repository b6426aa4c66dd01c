"""Straight to the lanes and back, past the collector: a law test decides the receive time itself."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from foryou.contract.codec import Registry
from foryou.contract.events import lane_of
from foryou.contract.schemas import schema
from foryou.contract.topics import TOPICS
from foryou.service.settings import Settings

VERDICTS = ("events.clean.v1", "events.duplicate.v1", "events.late.v1")
Event = dict[str, Any]


def until(what: str, holds: Callable[[], bool], within_s: float = 90.0, every_s: float = 0.2) -> None:
    """Polls until `holds()`; fails naming what did not come."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        time.sleep(every_s)


class Lanes:
    """Writes accepted events and reads verdicts of one app."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = Registry(settings.registry_url)
        self._encoders = {
            name: self._registry.encoder(f"{name}-value", schema(TOPICS[name].schema))
            for name in ("events.action.v1", "events.context.v1", "events.content.v1", "events.account.v1")
        }
        self._decode = self._registry.decoder()
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "partitioner": "murmur2_random",
                "linger.ms": 10,
                "enable.idempotence": True,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def send(self, events: Iterable[Event]) -> int:
        """Writes the events in order and waits for the broker; returns how many."""
        sent = 0
        for event in events:
            lane = lane_of(event["event_type"])
            subject = event["video_id"] if lane == "events.content.v1" else event["user_key"]
            self._producer.produce(lane, self._encoders[lane](event), key=f"{event['app_id']}|{subject}".encode())
            sent += 1
            if sent % 1_000 == 0:
                self._producer.poll(0)
        assert self._producer.flush(30) == 0, "Kafka did not take the events"
        return sent

    def watch(self, topics: Iterable[str] = VERDICTS) -> "Watch":
        """Follows topics from their present end on."""
        return Watch(self._settings, self._decode, tuple(topics))


class Watch:
    """What arrived in some topics since it was made."""

    def __init__(self, settings: Settings, decode: Callable[[bytes], Event], topics: tuple[str, ...]) -> None:
        self._decode = decode
        self._consumer = Consumer(
            {"bootstrap.servers": settings.kafka, "group.id": "tests", "enable.auto.commit": False}
        )
        places = [TopicPartition(topic, part) for topic in topics for part in range(TOPICS[topic].partitions)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=10)[1]
        self._consumer.assign(places)

    def poll(self, wait_s: float = 0.2) -> Iterator[tuple[str, Event]]:
        """(topic, record) of what came."""
        for message in self._consumer.consume(5_000, wait_s):
            if message.error() is None and message.value() is not None:
                yield message.topic(), self._decode(message.value())

    def close(self) -> None:
        self._consumer.close()
