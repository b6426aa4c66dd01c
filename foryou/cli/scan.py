"""Looks for messages in topics, from a moment on: what `foryou trace` stands on."""

from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import OFFSET_END, Consumer, Message, TopicPartition

BATCH = 5_000
POLL_S = 0.1  # consume() waits this long for a full batch, so it is what the tail of a scan costs
PATIENCE = 20  # so many polls that bring nothing, short of the end, ask whether Kafka is there at all


class Scanner:
    """Reads topics up to the end that they had when the scan began. Never commits, never joins a group."""

    def __init__(self, kafka: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "foryou-scan",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def messages(self, topics: Iterable[str], since_ms: int = 0) -> Iterator[Message]:
        """Every message of the topics with a timestamp from `since_ms` on, topic by partition in order of offset.

        Raises KeyError for a topic that does not exist, ConnectionError when Kafka stops answering.
        """
        wanted = [TopicPartition(topic, part, since_ms) for topic in topics for part in self._partitions(topic)]
        starts = self._consumer.offsets_for_times(wanted, timeout=10) if since_ms > 0 else wanted
        open_ends: dict[tuple[str, int], int] = {}
        assigned = []
        for start in starts:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(start.topic, start.partition), timeout=10)
            first = low if since_ms <= 0 else high if start.offset == OFFSET_END else max(low, start.offset)
            if first < high:
                open_ends[start.topic, start.partition] = high
                assigned.append(TopicPartition(start.topic, start.partition, first))
        self._consumer.assign(assigned)
        nothing = 0
        while open_ends:
            batch = self._consumer.consume(BATCH, POLL_S)
            nothing = 0 if batch else nothing + 1
            if not batch:
                # A compacted or aborted tail has no message at its last offset: the position tells that it was passed.
                self._drop_passed(open_ends)
            if nothing and nothing % PATIENCE == 0 and not self._alive():
                raise ConnectionError("Kafka stopped answering; `foryou status` shows what is down")
            for message in batch:
                place = (message.topic(), message.partition())
                if message.error() or place not in open_ends:
                    continue
                if message.offset() < open_ends[place]:
                    yield message
                if message.offset() >= open_ends[place] - 1:
                    del open_ends[place]
        self._consumer.unassign()

    def find(self, topics: Iterable[str], matches: Callable[[Message], bool], since_ms: int = 0) -> list[Message]:
        """The matching messages."""
        return [message for message in self.messages(topics, since_ms) if matches(message)]

    def _partitions(self, topic: str) -> list[int]:
        known = self._consumer.list_topics(topic, timeout=10).topics[topic]
        if known.error is not None:
            raise KeyError(f"no topic {topic!r} in Kafka; `foryou topics list` shows what there is")
        return sorted(known.partitions)

    def _drop_passed(self, open_ends: dict[tuple[str, int], int]) -> None:
        for position in self._consumer.position([TopicPartition(*place) for place in open_ends]):
            if position.offset >= open_ends[position.topic, position.partition]:
                del open_ends[position.topic, position.partition]

    def _alive(self) -> bool:
        try:
            self._consumer.list_topics(timeout=3)
        except Exception:  # noqa: BLE001 - confluent_kafka's own exception is all that comes here
            return False
        return True
