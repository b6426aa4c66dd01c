"""Kafka in memory, for tests and examples of the forwarder."""

from collections.abc import Collection, Mapping

from foryou.collector.forward.sender import MAX_RECORD_BYTES, Away, Unwanted


class MemoryKafka:
    """Topics in memory that outlive their sessions; `up` and `fail_after` break it as a broker breaks."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes]] = []
        self.up = True
        self.fail_after: int | None = None  # so many records are taken, then it is away
        self.ids: dict[str, str] = {}
        self.longest = MAX_RECORD_BYTES

    def connect(self) -> "MemorySender":
        """A session. Raises Away."""
        if not self.up:
            raise Away("it is down")
        return MemorySender(self)

    def empty(self) -> None:
        """A new Kafka in the old one's place."""
        self.taken.clear()
        self.ids = {name: f"{number}-new" for name, number in self.ids.items()}


class MemorySender:
    """A session with MemoryKafka."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka
        self._waiting: list[tuple[str, str, bytes]] = []

    def topic_ids(self, topics: Collection[str]) -> Mapping[str, str]:
        if not self._kafka.up:
            raise Away("it is down")
        for name in topics:
            self._kafka.ids.setdefault(name, name)
        return dict(self._kafka.ids)

    def send(self, topic: str, key: str, value: bytes) -> None:
        self._waiting.append((topic, key, value))

    def flush(self) -> list[Unwanted]:
        unwanted = []
        for record in self._waiting:
            if self._kafka.fail_after == 0 or not self._kafka.up:
                self._kafka.up = False
                raise Away("it went down")
            if self._kafka.fail_after is not None:
                self._kafka.fail_after -= 1
            topic, key, value = record
            if len(value) > self._kafka.longest:
                unwanted.append(Unwanted(topic, key.encode(), value, "too large"))
            else:
                self._kafka.taken.append(record)
        self._waiting.clear()
        return unwanted

    def idle(self) -> None:
        if not self._kafka.up:
            raise Away("it is down")

    def close(self) -> None:
        self._waiting.clear()
