"""What the forwarder's tests stand on: a log on disk, a Kafka in memory, a clock that is set."""

import asyncio
import itertools

from foryou.collector.forward.forwarder import Forwarder
from foryou.collector.forward.testing import MemoryKafka
from foryou.collector.log.disk_log import DiskLog
from foryou.collector.log.event_log import LogRecord
from foryou.contract.codec import Decoder, Encoder
from foryou.contract.events import Lane
from foryou.contract.schemas import schema
from foryou.contract.topics import REJECTED, TOPICS
from foryou.service.metrics import Metrics

TOPIC = Lane.ACTION.value
NAMES = [*(lane.value for lane in Lane), REJECTED]
SCHEMAS = {name: schema(TOPICS[name].schema) for name in NAMES}
ENCODERS = {name: Encoder(SCHEMAS[name], number) for number, name in enumerate(NAMES)}
DECODE = Decoder(lambda number: SCHEMAS[NAMES[number]])
MINUTE = 60.0


class Bench:
    """A log, a Kafka in memory, a clock that is set; every session ends when there is nothing new."""

    def __init__(self, folder):
        self.folder, self.kafka, self.now_s, self.metrics = folder, MemoryKafka(), 1_000.0, Metrics()
        self.forwarder = self.start()
        self._number = itertools.count()

    def start(self, **changes):
        """Another process, after the one before was killed."""
        clock = lambda: self.now_s  # noqa: E731
        return Forwarder(
            self.folder,
            self.kafka.connect,
            lambda: ENCODERS,
            self.metrics,
            keep_s=10 * MINUTE,
            clock_s=clock,
            **changes,
        )

    def take(self, count, **changes):
        """The collector takes so many events, one to a post."""
        append(self.folder, *([self.next_event()] for _ in range(count)), **changes)

    def next_event(self):
        """The next one, whose number is its video's id."""
        return event(next(self._number))

    def forward(self):
        """Sessions until there is nothing to send; each look at the clock ages it."""
        rounds = iter(range(30))

        def until():
            self.now_s += 1.0
            return next(rounds, None) is None

        self.forwarder.session(ENCODERS, until)

    def sent(self):
        return [int(DECODE(value)["video_id"]) for topic, _, value in self.kafka.taken if topic == TOPIC]


def event(number):
    row = {"event_id": f"e{number}", "app_id": "demo", "event_type": "like", "user_key": "uk", "event_time": 1}
    return LogRecord(TOPIC, "demo|uk", {**row, "received_at": 2, "video_id": str(number)})


def append(folder, *posts, **changes):
    """The collector runs, takes these posts, and stops."""
    log = DiskLog(folder, Metrics(), **changes)

    async def all_of_them():
        for post in posts:
            await log.append(post)

    asyncio.run(all_of_them())
    log.close()


def once(numbers):
    """Each where it came first."""
    return list(dict.fromkeys(numbers))


def at_once(monkeypatch):
    """No rest between two rounds or tries."""
    for pause in ("RETRY_S", "ROUND_S", "ROUND_MOST_S"):
        monkeypatch.setattr(f"foryou.collector.forward.forwarder.{pause}", 0.0)
