"""KafkaLog keeps the promises that MemoryLog makes: the same suite, against the stack's broker."""

import asyncio
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from foryou.collector.producer import KafkaLog, LogRecord
from foryou.service.metrics import Metrics
from tests.collector.log_suite import *  # noqa: F403 - the suite's tests run here against Kafka
from tests.collector.log_suite import LogBench


@pytest.fixture
def log_bench(stack):
    """A KafkaLog on topics of its own; broken down by pointing it at a port where no broker is."""
    run_id = uuid.uuid4().hex[:8]
    topics = (f"try.{run_id}.one", f"try.{run_id}.other")
    bootstrap = stack.settings.kafka
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, 2, 1) for name in topics]).values():
        made.result(10)
    runner = asyncio.Runner()
    bench = LogBench(
        _ready(KafkaLog(bootstrap, topics, Metrics())),
        *topics,
        lambda topic: [(key, value) for key, value, _ in _read(bootstrap, topic)],
        lambda: None,
        runner.run,
    )

    def break_down():
        bench.log.close()
        bench.log = KafkaLog("127.0.0.1:1", topics, Metrics())

    bench.break_down = break_down
    yield bench
    bench.log.close()
    runner.close()
    admin.delete_topics(list(topics))


def test_a_key_lands_where_javas_partitioner_puts_it(log_bench, stack):
    keys = [f"demo|uk_{number}" for number in range(50)]
    log_bench.run(log_bench.log.append([LogRecord(log_bench.topic, key, key.encode()) for key in keys]))

    found = {(key, partition) for key, _, partition in _read(stack.settings.kafka, log_bench.topic)}
    assert found == {(key, _murmur2(key.encode()) % 2) for key in keys}


def _ready(log: KafkaLog) -> KafkaLog:
    for _ in range(100):
        if not log.waiting_for():
            return log
        time.sleep(0.1)
    raise AssertionError(f"still waiting for {log.waiting_for()}")


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


def _read(bootstrap: str, topic: str) -> list[tuple[str, bytes, int]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "try", "enable.auto.commit": False})
    ends = {part: _end(consumer, TopicPartition(topic, part)) for part in range(2)}
    consumer.assign([TopicPartition(topic, part, 0) for part in ends])
    found = []
    while len(found) < sum(ends.values()):
        message = consumer.poll(10)
        assert message is not None and message.error() is None
        found.append((message.key().decode(), message.value(), message.partition()))
    consumer.close()
    return found


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    for _ in range(50):
        try:
            return consumer.get_watermark_offsets(partition, timeout=10)[1]
        except KafkaException:  # a partition that nothing was written to may still be without leader
            time.sleep(0.1)
    raise AssertionError(f"{partition} has no leader")
