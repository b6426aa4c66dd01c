"""What the topics and doors hold, counted before and after a run: the right-hand sides of the equations."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from foryou.contract.events import Lane
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.simulator.tally import Counted, Lanes
from foryou.simulator.wire import Door

TAPS = (Lane.ACTION.value, Lane.CONTEXT.value)  # the lanes that Flink admits
ADMITTED = ("events.clean.v1", "events.duplicate.v1", "events.late.v1")


@dataclass(frozen=True)
class Ends:
    """End offsets summed over a topic's partitions. No transactions write there, so offsets count records."""

    records: dict[str, int]

    def since(self, before: "Ends") -> Lanes:
        """What was added since `before`, by whoever sent it."""
        gained = {topic: count - before.records.get(topic, 0) for topic, count in self.records.items()}
        clean, duplicate, late = (gained[topic] for topic in ADMITTED)
        accepted = sum(gained[topic] for topic in TAPS)
        return Lanes(accepted + gained[FLAGGED], gained[REJECTED], clean, duplicate, late, gained[FLAGGED])


def ends(bootstrap: str) -> Ends:
    """Reads the end offsets. Raises KafkaException when Kafka does not answer."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "foryou-cli-ledger", "enable.auto.commit": False})
    try:
        records = {}
        for topic in (*TAPS, FLAGGED, REJECTED, *ADMITTED):
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            high = (consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=10)[1] for each in partitions)
            records[topic] = sum(high)
        return Ends(records)
    finally:
        consumer.close()


async def metric(door: Door, name: str, **labels: str) -> float:
    """The sum of a process's samples of one metric; 0.0 where it has none yet. Raises OSError."""
    return _sum(await _metrics(door), name, labels)


async def counted(collector: Door) -> Counted:
    """What the collector has counted since it started, all of one moment. Raises OSError."""
    text = await _metrics(collector)

    def events(what: str) -> int:
        lanes = (*TAPS, FLAGGED, "unknown")
        return int(sum(_sum(text, f"foryou_collector_{what}_total", {"lane": lane}) for lane in lanes))

    return Counted(
        received=events("received"),
        accepted=events("accepted"),
        rejected=events("rejected"),
        limited=events("limited"),
        letters=int(_sum(text, "foryou_collector_dead_letters_total", {})),
    )


async def _metrics(door: Door) -> str:
    return (await door.get("/metrics")).body.decode()


def _sum(text: str, name: str, labels: Mapping[str, str]) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
