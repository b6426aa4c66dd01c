"""`foryou events watch`: every event as it comes, good or refused, and what would mend it."""

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from confluent_kafka import KafkaException, TopicPartition
from rich.console import Console
from rich.text import Text

from foryou.cli.screen import plain
from foryou.cli.stack import live_settings
from foryou.cli.topics import Presence, follower, reach
from foryou.contract.codec import Decoder, NotAvro, Record, Registry
from foryou.contract.events import TYPES, Lane
from foryou.contract.identity import Identity, is_key
from foryou.contract.seal import CannotOpen, Seal
from foryou.contract.topics import FLAGGED, REJECTED

app = typer.Typer(help="See events as they come, and what is wrong with those that are refused.", no_args_is_help=True)
WATCHED = (*(lane.value for lane in Lane), FLAGGED, REJECTED)
LEAST_WIDTH = 80
_ABOUT = ("video_id", "target_user_key", "query")
_NUMBERS = ("watch_ms", "position", "loops", "startup_ms")


@app.callback()
def events() -> None:
    """See events as they come, and what is wrong with those that are refused."""


@dataclass(frozen=True)
class Wanted:
    """What is shown: all of it, or one person's, one type's, one app's, refused ones only."""

    user_key: str | None = None
    event_type: str | None = None
    app_id: str | None = None
    refused_only: bool = False

    def fits(self, record: Record, refused: bool) -> bool:
        """Whether a record is shown. Of a dead letter nobody knows whose it was, nor surely its type."""
        if self.app_id is not None and record["app_id"] != self.app_id:
            return False
        if refused:
            said = _said(record)
            return self.user_key is None and (self.event_type is None or self.event_type in said)
        if self.refused_only or (self.event_type is not None and record["event_type"] != self.event_type):
            return False
        keys = (record.get("user_key"), record.get("device_key"), record.get("creator_key"))
        return self.user_key is None or self.user_key in keys


def _opened(letter: Record, seal: Seal) -> bytes:
    """The refused bytes; none when this stack cannot open them."""
    body: bytes = letter["body"]
    try:
        return body if letter.get("sealed_by") is None else seal.open(body)
    except CannotOpen:
        return b""


def _said(letter: Record) -> str:
    """The name by which a refused event called itself, as far as its bytes can be read; empty when they cannot."""
    try:
        body = msgspec.json.decode(letter["body"], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    named = (body.get(name) for name in ("event_type", "event", "type", "se_ac"))
    return next((name for name in named if isinstance(name, str)), "")


def line_of(record: Record, refused: bool, width: int) -> Text:
    """An event as a line: when, good or refused, what, about what, whose. What would mend it is never cut."""
    at = datetime.fromtimestamp(record["rejected_at" if refused else "received_at"] / 1000, UTC)
    shown = Text(at.isoformat(timespec="milliseconds")[11:23], "dim")
    if not refused:
        about = next((f"{record[name]}" for name in _ABOUT if record.get(name)), "-")
        numbers = " ".join(f"{name}={record[name]}" for name in _NUMBERS if record.get(name) is not None)
        whose = str(record.get("user_key") or record.get("creator_key") or "-")
        flags = record.get("flags")
        shown.append(*((" bot", "yellow") if flags else (" ok ", "green")))
        shown.append(f"{record['event_type']:<15.15} " if not flags else f" {record['event_type']:<14.14} ", "bold")
        shown.append(f"{plain(about):<25.25} ").append(f"{whose:<12.12} ", "cyan").append(
            plain(f"{record['app_id']} {f'flags={flags} ' if flags else ''}{numbers}")
        )
        shown.truncate(max(width, LEAST_WIDTH), overflow="ellipsis")
        return shown
    said = f" {plain(name)[:40]!r}" if (name := _said(record)) else ""
    where = f" at {record['field']}" if record["field"] else ""
    shown.append(" no ", "bold red").append(f"{record['reason']}{plain(where)}", "bold")
    shown.append(f"{said}: {plain(record['detail'])}").append(f" ({record['app_id']}, {record['door']})", "dim")
    return shown


@app.command()
def watch(
    user: Annotated[str, typer.Option(help="only this person's: a client's id, or a key such as uk_…")] = "",
    event_type: Annotated[str, typer.Option("--type", help="only this type; with --refused any name")] = "",
    app_id: Annotated[str, typer.Option("--app", help="only this app's; also whose id --user is (demo)")] = "",
    refused: Annotated[bool, typer.Option("--refused", help="only those that were refused")] = False,
    number: Annotated[int, typer.Option("-n", "--number", min=0, help="stop after so many; 0: never")] = 0,
) -> None:
    """Follows the four lanes, what was flagged as a bot's, and the dead letters, from now on: one line per event, until
    Ctrl-C.

    A refused event says its reason, its field and the remedy. Whose it was is not known: with --user it is not shown.
    """
    if event_type and not refused and event_type not in TYPES:  # what is refused may call itself anything
        raise typer.BadParameter(f"there is no event type {event_type}: there are {', '.join(TYPES)}")
    settings, console = live_settings(), Console(highlight=False)
    reach(console, settings.host, settings.kafka)
    secrets = settings.secrets()
    key = _key_of(user, app_id or "demo", secrets.identity) if user else None
    wanted = Wanted(key, event_type or None, app_id or None, refused)
    width = console.width if sys.stdout.isatty() else shutil.get_terminal_size((120, 24)).columns
    decode, shown = Registry(settings.registry_url).decoder(), 0
    try:
        for record, is_refused in follow(settings.kafka, decode, console):
            if is_refused:
                record["body"] = _opened(record, secrets.seal)
            if wanted.fits(record, is_refused):
                console.print(line_of(record, is_refused, width), soft_wrap=not is_refused or not console.is_terminal)
                shown += 1
                if shown == number:
                    return
    except KafkaException as error:
        console.print(f"[red]Kafka at {settings.kafka}: {error}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        return


def _key_of(user: str, app_id: str, identity: Identity) -> str:
    return user if is_key(user) else identity.user_key(app_id, user)


def follow(kafka: str, decode: Decoder, console: Console) -> Iterator[tuple[Record, bool]]:
    """Records of the lanes and the dead letters from now on, and whether they are refused. When Kafka goes away it says
    so and waits. Raises KafkaException at the beginning.
    """
    there = Presence(kafka, Console(stderr=True, soft_wrap=True, highlight=False))
    consumer = follower(kafka, "foryou-watch", there)
    try:
        topics = consumer.list_topics(timeout=10).topics
        here = [TopicPartition(name, part) for name in WATCHED if name in topics for part in topics[name].partitions]
        for place in here:
            place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
        consumer.assign(here)
        console.print(f"[dim]watching {len(here)} partitions from {time.strftime('%H:%M:%S', time.gmtime())} UTC")
        for message in there.onward(consumer):
            if message.value() is not None:
                try:
                    yield decode(message.value()), message.topic() == REJECTED
                except NotAvro as error:
                    console.print(f"[yellow]{message.topic()} {message.partition()}@{message.offset()}: {error}")
    finally:
        consumer.close()
