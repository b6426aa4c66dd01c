"""Which offsets of a topic belong to a time: asked of Kafka, no record is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

TIMEOUT_S = 20


@dataclass(frozen=True)
class Span:
    """Offsets of a partition: the first that Kafka still holds, the first wanted, the end (not in)."""

    held: int
    start: int
    end: int

    @property
    def whole(self) -> bool:
        """Whether nothing that is wanted can have been dropped."""
        return self.held == 0 or self.held < self.start


def spans_of(
    kafka: str, topics: Sequence[str], since_ms: int, until_ms: int | None = None
) -> dict[str, dict[int, Span]]:
    """topic → partition → what Kafka took from `since_ms` on, before `until_ms` (to the end, where None). A topic that
    is not there has no partitions. Raises KafkaException."""
    config = {"bootstrap.servers": kafka, "group.id": "foryou-spans", "enable.auto.commit": False}
    consumer = Consumer(config)
    try:
        return {topic: _spans(consumer, topic, since_ms, until_ms) for topic in topics}
    finally:
        consumer.close()


def _spans(consumer: Consumer, topic: str, since_ms: int, until_ms: int | None) -> dict[int, Span]:
    known = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    partitions = sorted(known.partitions)
    if known.error is not None or not partitions:
        return {}
    marks = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
        for number in partitions
    }

    def at(ms: int) -> dict[int, int]:
        asked = [TopicPartition(topic, number, ms) for number in partitions]
        found = consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
        return {
            each.partition: marks[each.partition][1] if each.offset in (-1, OFFSET_END) else each.offset
            for each in found
        }

    starts = at(since_ms)
    ends = {number: high for number, (_, high) in marks.items()} if until_ms is None else at(until_ms)
    return {number: Span(marks[number][0], starts[number], ends[number]) for number in partitions}
