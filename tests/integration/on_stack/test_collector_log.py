"""The log into the stack's own broker: what Kafka has is what the log has, in order, in Java's partitions."""

import asyncio
import threading
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from foryou.collector.forward.forwarder import Forwarder
from foryou.collector.forward.sender import Away, KafkaSender
from foryou.collector.log.disk_log import DiskLog
from foryou.collector.log.event_log import LogRecord
from foryou.service.metrics import Metrics

from ..lanes import until


class Bench:
    """A log, a topic of its own with two partitions, and a forwarder between them."""

    def __init__(self, bootstrap, folder):
        self.topic, self.bootstrap = f"try.{uuid.uuid4().hex[:8]}", bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self.make_topic()
        self.log = DiskLog(folder, Metrics())
        encoders = {self.topic: lambda record: b"%d" % record["n"]}
        self.forwarder = Forwarder(
            folder, lambda: KafkaSender(bootstrap, self.forwarder.stopping), lambda: encoders, Metrics()
        )
        self._thread = threading.Thread(target=self.forwarder.run)
        self._thread.start()

    def make_topic(self):
        self._admin.create_topics([NewTopic(self.topic, 2, 1)])[self.topic].result(10)

    def drop_topic(self):
        self._admin.delete_topics([self.topic])[self.topic].result(10)

    def take(self, keys):
        async def all_of_them():
            for number, key in enumerate(keys):
                await self.log.append([LogRecord(self.topic, key, {"n": number})])

        asyncio.run(all_of_them())

    def read(self) -> list[tuple[str, int, int]]:
        """(key, number, partition) of all that the topic has."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "try", "enable.auto.commit": False})
        try:
            ends = {
                part: consumer.get_watermark_offsets(TopicPartition(self.topic, part), timeout=10)[1] for part in (0, 1)
            }
        except KafkaException:  # a partition that nothing was written to may still be without leader
            return []
        consumer.assign([TopicPartition(self.topic, part, 0) for part in ends])
        found = []
        while len(found) < sum(ends.values()):
            message = consumer.poll(10)
            assert message is not None and message.error() is None
            found.append((message.key().decode(), int(message.value()), message.partition()))
        consumer.close()
        return found

    def close(self):
        self.forwarder.stop()
        self._thread.join()
        self.log.close()
        self.drop_topic()


@pytest.fixture
def bench(stack, tmp_path):
    bench = Bench(stack.settings.kafka, tmp_path)
    yield bench
    bench.close()


def test_every_event_of_the_log_is_in_kafka_once_and_in_order_and_where_java_puts_it(bench):
    keys = [f"demo|uk_{number % 50}" for number in range(2_000)]
    bench.take(keys)
    until("all", lambda: len(bench.read()) >= len(keys))

    found = bench.read()
    assert sorted(number for _, number, _ in found) == list(range(2_000))
    for key in set(keys):
        of_key = [number for found_key, number, _ in found if found_key == key]
        assert of_key == sorted(of_key)
    assert {(key, part) for key, _, part in found} == {(key, _murmur2(key.encode()) % 2) for key in keys}


def test_a_topic_that_was_made_anew_gets_all_that_is_kept(bench):
    bench.take(["a", "b", "c"])
    until("the first three", lambda: len(bench.read()) == 3)
    bench.drop_topic()
    until("the end of the topic", lambda: bench.topic not in bench._admin.list_topics(timeout=10).topics)
    bench.make_topic()
    bench.take(["d"])
    until("all four", lambda: {key for key, _, _ in bench.read()} == {"a", "b", "c", "d"})


def test_a_broker_that_is_not_there_is_away():
    sender = KafkaSender("127.0.0.1:1")
    with pytest.raises(Away):
        sender.topic_ids(["any"])
    sender.send("any", "k", b"v")
    with pytest.raises(Away):
        sender.flush()


def _murmur2(data: bytes) -> int:
    """Kafka's murmur2, as in org.apache.kafka.common.utils.Utils, made positive."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF
