"""An independent witness: was every acknowledged event kept, is none invented, is each viewer's order kept?

It reads what the clients noted (bench.intake_load) and what Kafka has, and nothing of ours in between: no log, no
metric, no code of the collector.
"""

import io
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from foryou.contract.schemas import schema

LANE = "events.action.v1"
SILENT_S = 60.0


@dataclass
class Report:
    """What was found. `lost`, `invented` and `disordered` must be empty; duplicates are allowed."""

    acknowledged: int = 0
    in_kafka: int = 0
    duplicates: int = 0
    lost: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.invented or self.disordered)

    def __str__(self) -> str:
        told = f"{self.acknowledged:,} acknowledged, {self.in_kafka:,} in Kafka and {self.duplicates:,} copies"
        return f"{told}: {len(self.lost)} lost, {len(self.invented)} invented, {len(self.disordered)} out of order"


@dataclass(frozen=True)
class Client:
    """What a load noted: its run, how many events it sent, and the file of what was acknowledged, in order."""

    run: int
    sent: int
    acked: Path

    def acknowledged(self) -> dict[int, list[str]]:
        """viewer → event ids in the order of their acknowledgements."""
        rows = array("Q")
        rows.frombytes(self.acked.read_bytes())
        found: dict[int, list[str]] = {}
        for row in rows:
            found.setdefault(row >> 40, []).append(_id(self.run, row & (1 << 40) - 1))
        return found


def check(clients: Iterable[Client], stored: Iterable[list[str]]) -> Report:
    """The verdict on event ids by partition, in order. Pure."""
    clients = list(clients)
    report, sent = Report(), {client.run: client.sent for client in clients}
    order: dict[str, tuple[int, int]] = {}
    for number, partition in enumerate(stored):
        for event_id in partition:
            run, of_run = int(event_id[:8], 16), int(event_id[-12:], 16)
            if run not in sent:
                continue  # another run's
            if event_id != _id(run, of_run) or of_run >= sent[run]:
                report.invented.append(event_id)
            elif event_id in order:
                report.duplicates += 1
            else:
                order[event_id] = (number, len(order))
    report.in_kafka = len(order)
    for client in clients:
        for viewer, ids in client.acknowledged().items():
            report.acknowledged += len(ids)
            report.lost += [event_id for event_id in ids if event_id not in order]
            places = [order[event_id] for event_id in ids if event_id in order]
            if places != sorted(places) or len({number for number, _ in places}) > 1:
                report.disordered.append(f"viewer {viewer} of run {client.run}")
    return report


def read(bootstrap: str, topic: str = LANE) -> list[list[str]]:
    """Event ids of a topic by partition, in order. Raises RuntimeError when the broker brings nothing for a minute."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "checker", "enable.auto.commit": False}
        | {"enable.partition.eof": True}
    )
    whole = fastavro.parse_schema(schema("event"))
    wanted = fastavro.parse_schema(
        {**schema("event"), "fields": [each for each in schema("event")["fields"] if each["name"] == "event_id"]}
    )
    found: dict[int, list[str]] = {
        part: [] for part in sorted(consumer.list_topics(topic, 20).topics[topic].partitions)
    }
    consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in found])
    unread = set(found)  # a partition is read when it says so: offsets may have gaps, and old ones may be gone
    heard = time.monotonic()
    while unread:
        messages = consumer.consume(5_000, 1.0)
        heard = time.monotonic() if messages else heard
        if time.monotonic() - heard > SILENT_S:
            raise RuntimeError(f"partitions {sorted(unread)} of {topic} bring nothing")
        for message in messages:
            if (error := message.error()) is None:
                row = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), whole, wanted)
                found[message.partition()].append(row["event_id"])
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise RuntimeError(str(error))
    consumer.close()
    return list(found.values())


def _id(run: int, number: int) -> str:
    return f"{run:08x}-1357-7000-8000-{number:012x}"
