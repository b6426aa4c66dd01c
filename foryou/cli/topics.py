"""`foryou topics`: what is in Kafka, decoded."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from foryou.cli.screen import wide
from foryou.cli.stack import live_settings
from foryou.contract.codec import Decoder, NotAvro, Registry
from foryou.contract.topics import Topic
from foryou.local.kafka import all_topics, topics_elsewhere
from foryou.local.probe import answers
from foryou.service.kafka_client import COMES_BACK

app = typer.Typer(help="List topics, or read one, decoded.", no_args_is_help=True)
PATIENCE_S = 5.0


@app.command("list")
def list_topics() -> None:
    """Every topic with its partitions, the records that it holds, how it is cleaned, and what it is for."""
    settings, console = live_settings(), wide(100)
    reach(console, settings.host, settings.kafka)
    try:
        console.print(listing(_held(settings.kafka), all_topics() | topics_elsewhere(settings)))
    except KafkaException as error:
        console.print(f"[red]Kafka at {settings.kafka}: {error}")
        raise typer.Exit(1) from error


def listing(held: Mapping[str, tuple[int, int]], declared: Mapping[str, Topic]) -> Table:
    """What `foryou topics list` prints, of the partitions and offsets held of each topic that is there or shall be.

    80 columns are enough: what a topic is for is broken at words, everything else stays on its line.
    """
    lines = Table(box=None, pad_edge=False)
    lines.add_column("topic", no_wrap=True)
    lines.add_column("parts", justify="right")
    lines.add_column("offsets", justify="right", no_wrap=True)
    lines.add_column("cleanup", max_width=len("compact,"))
    lines.add_column("what")
    for name in [*declared, *sorted(set(held) - set(declared))]:
        topic = declared.get(name)
        cleanup = topic.config["cleanup.policy"].replace(",", ", ") if topic else ""
        parts, records = held.get(name, (0, 0))
        counts = (str(parts), f"{records:,}") if name in held else ("", "[red]missing")
        lines.add_row(name, *counts, cleanup, topic.doc if topic else "[dim]not ours")
    return lines


def _held(kafka: str) -> dict[str, tuple[int, int]]:
    """Partitions, and the offsets between both ends of them, by topic. Raises KafkaException."""
    consumer = _consumer(kafka)
    try:
        present = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
        return {
            name: (
                len(metadata.partitions),
                sum(high - low for low, high in (_watermarks(consumer, p) for p in _partitions(metadata, name))),
            )
            for name, metadata in present.items()
        }
    finally:
        consumer.close()


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="for example events.clean.v1; `foryou topics list` shows all")],
    number: Annotated[int, typer.Option("-n", "--number", min=0, help="how many of the newest records")] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on until Ctrl-C")] = False,
    beginning: Annotated[bool, typer.Option("--from-beginning", help="everything that the topic holds")] = False,
    key: Annotated[str, typer.Option(help="only records whose key contains this")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per line")] = False,
) -> None:
    """Prints records, oldest first: time, partition, offset, key and the decoded value."""
    settings, console = live_settings(), Console(soft_wrap=True, highlight=False)
    reach(console, settings.host, settings.kafka)
    aside = Console(stderr=True, soft_wrap=True, highlight=False)
    there = Presence(settings.kafka, aside)
    consumer = follower(settings.kafka, "foryou-topics", there)
    decode = Registry(settings.registry_url).decoder()
    try:
        metadata = consumer.list_topics(topic, timeout=10).topics[topic]
        if metadata.error is not None:
            console.print(f"[red]There is no topic {topic}: `foryou topics list` shows all.")
            raise typer.Exit(1)
        partitions = _partitions(metadata, topic)
        found, looked_at, older = _newest(consumer, partitions, number, beginning, key)
        if key and not found:
            aside.print(nothing_found(key, looked_at, older), markup=False)
        for message in found if beginning else found[max(0, len(found) - number) :]:
            _show(console, message, decode, as_json)
        for message in there.onward(consumer) if follow else ():
            if _matches(message, key):
                _show(console, message, decode, as_json)
    except KafkaException as error:
        console.print(f"[red]Kafka at {settings.kafka}: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        return
    finally:
        consumer.close()


def _newest(
    consumer: Consumer, partitions: list[TopicPartition], number: int, beginning: bool, key: str
) -> tuple[list[Message], int, bool]:
    """Up to the end of now: what fits, oldest first, of how many records, and whether there are older ones.

    With a key, the newest of each partition are searched for it, not the newest that match.
    """
    marks = {p.partition: _watermarks(consumer, p) for p in partitions}
    reach = number if not key else max(number, 50_000)
    starts = [
        TopicPartition(p.topic, p.partition, low if beginning else max(low, high - reach))
        for p, (low, high) in zip(partitions, marks.values(), strict=True)
    ]
    consumer.assign(starts)
    open_ends = {s.partition: marks[s.partition][1] for s in starts if s.offset < marks[s.partition][1]}
    found: list[Message] = []
    looked_at = 0
    heard = time.monotonic()
    while open_ends and time.monotonic() - heard < PATIENCE_S:
        for message in consumer.consume(5_000, 0.2):
            if message.error() is not None:
                continue
            heard = time.monotonic()
            looked_at += 1
            if _matches(message, key):
                found.append(message)
        # Compaction leaves holes: the position passes them, a message's offset may not reach the end.
        for place in consumer.position([TopicPartition(s.topic, s.partition) for s in starts]):
            if place.partition in open_ends and place.offset >= open_ends[place.partition]:
                del open_ends[place.partition]
    found.sort(key=lambda message: (message.timestamp()[1], message.partition(), message.offset()))
    older = any(start.offset > low for start, (low, _) in zip(starts, marks.values(), strict=True))
    return found, looked_at, older


def nothing_found(key: str, looked_at: int, older: bool) -> str:
    """What is said when no record has the key."""
    told = f"No record has a key that contains {key!r}; looked at: {looked_at:,}"
    return f"{told}, the newest of each partition. --from-beginning looks at all" if older else told


def _show(console: Console, message: Message, decode: Decoder, as_json: bool) -> None:
    value, key = message.value(), (message.key() or b"").decode("utf-8", "replace")
    shown: Any
    try:
        shown = None if value is None else decode(value)
    except NotAvro as error:
        shown = {"not_avro": str(error), "bytes": value[:200].hex() if value else ""}
    at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).isoformat(timespec="milliseconds")
    if as_json:
        line = {"time": at, "partition": message.partition(), "offset": message.offset(), "key": key, "value": shown}
        print(json.dumps(line, default=_plain, ensure_ascii=False), flush=True)
        return
    body = {name: item for name, item in shown.items() if item is not None} if isinstance(shown, dict) else shown
    console.print(f"[dim]{at[11:23]}[/] [cyan]{message.partition()}@{message.offset()}[/]", end=" ")
    console.print(key, style="bold", markup=False, end=" ")
    console.print(
        "(tombstone)" if shown is None else json.dumps(body, default=_plain, ensure_ascii=False), markup=False
    )


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _matches(message: Message, key: str) -> bool:
    return not key or key in (message.key() or b"").decode("utf-8", "replace")


def reach(console: Console, host: str, kafka: str) -> None:
    """librdkafka keeps trying without a word; we say it at once."""
    address, _, port = kafka.split(",")[0].rpartition(":")
    if answers(address or host, int(port)) is not None:
        console.print(f"[red]Kafka does not answer at {kafka}: `foryou up` starts it.")
        raise typer.Exit(1)


class Presence:
    """Whether Kafka is there, for who follows it for long: says once that it went, and once that it is back."""

    def __init__(self, kafka: str, told: Console) -> None:
        self._kafka, self._told = kafka, told
        self._doubted = self._away = False

    def doubt(self, _: KafkaError) -> None:
        """Takes what a client of Kafka complains of, as its `error_cb`."""
        self._doubted = True

    def onward(self, consumer: Consumer) -> Iterator[Message]:
        """Every message as it comes, for ever: while Kafka is away there is none."""
        while True:
            yield from (message for message in consumer.consume(500, 0.2) if message.error() is None)
            if self._doubted:
                self._look(consumer)

    def _look(self, consumer: Consumer) -> None:
        try:  # one of several brokers may be away, and an idle connection may end: that is no trouble
            consumer.list_topics(timeout=1)
        except KafkaException:
            if not self._away:
                self._told.print(
                    f"[yellow]Kafka at {self._kafka} does not answer any more; waiting for it. `foryou up` starts it."
                )
            self._away = True
            return
        if self._away:
            self._told.print("[dim]Kafka is back.")
        self._doubted = self._away = False


def follower(kafka: str, group: str, there: Presence) -> Consumer:
    """A consumer that can follow for days. What librdkafka would print twenty times a second, `there` says once."""
    return Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": group,  # librdkafka wants one; nothing is ever committed under it
            "enable.auto.commit": False,
            **COMES_BACK,
            "log_level": 2,
            "error_cb": there.doubt,
        }
    )


def _consumer(kafka: str) -> Consumer:
    return Consumer({"bootstrap.servers": kafka, "group.id": "foryou-topics", "enable.auto.commit": False})


def _partitions(metadata: Any, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in sorted(metadata.partitions)]


def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(partition, timeout=10)
    return low, high
