"""`foryou ledger`: the books of a day, hop by hop, from the door to ClickHouse; what is missing, and what to do."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import httpx
import pyarrow as pa
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from foryou.cli.stack import live_settings
from foryou.cli.topic_ends import TAPS
from foryou.cli.verdicts import VERDICTS, read_verdicts, verdict_lines
from foryou.contract.residence import INTAKE
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.lake import books, days
from foryou.lake.delta_files import DeltaUnreadable
from foryou.lake.ledger import IN_FLIGHT, Hole, Line, Place, as_rows, totals
from foryou.lake.tables import Lake
from foryou.lake.topic_spans import Span, spans_of
from foryou.local.lifecycle import runs_here
from foryou.local.probe import answers
from foryou.service.settings import Settings

DOOR = "received = accepted + rejected + limited"
ELSEWHERE = "accepted, and living elsewhere"
SHOWN_HOLES = 10
NOTHING_COUNTED = 3
ID_END = 4
LOG = "acknowledged = in Kafka"
TODO = {
    DOOR: "The collector counts wrong: look at its /metrics and its log.",
    LOG: "What Kafka did not get lies in collector/log/aside; forwarder.log says why, the runbook what can be done.",
    VERDICTS: "Flink went past them: look at its log and its newest checkpoint. The night counts them anyway.",
    books.BRONZE: "Bronze went past them. Kafka holds them for a week: docs/parity-and-ledger.md, a hole in bronze.",
    books.SILVER: "Remove lake/checkpoints/silver: the next `foryou nightly` merges all of bronze again.",
    books.CLEAN: "Make the day again: `foryou nightly --date <day>`.",
    books.ANALYTICS: "Replace the day: `foryou nightly --date <day> --steps analytics`.",
}


@dataclass
class Books:
    """The equations of a day; what could not be counted, in sentences."""

    day: date
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def counted(self) -> bool:
        """Anything but zeros."""
        return any(line.left or any(line.right.values()) for line in self.lines)

    @property
    def good(self) -> bool:
        """Something was counted, and there is no hole anywhere."""
        return self.counted and all(line.holds for line in self.lines)


def ledger(
    day: Annotated[str | None, typer.Option("--date", help="YYYY-MM-DD, UTC; else today", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs: by minute, lane and partition")] = False,
) -> None:
    """Prints the equation of every hop for what was received on a day; exit code 1 on a hole, 3 if nothing was counted.

    Collector, Flink, bronze, silver, clean rows, ClickHouse. Each offset that came in is found again exactly once, or
    is on its way. Parts that do not run in this FORYOU_HOME are named and left out.
    """
    console = Console()
    now = time.time_ns() // 1_000_000
    try:
        wanted = date.fromisoformat(day) if day else days.day_of(now)
    except ValueError:
        raise typer.BadParameter(f"days are written YYYY-MM-DD, not {day}") from None
    if wanted > days.day_of(now):
        raise typer.BadParameter(f"{wanted} is still to come")
    made = keep_books(live_settings(), wanted, now)
    if as_json:
        rows = as_rows(made.lines)
        print(json.dumps({"day": f"{wanted}", "good": made.good, "lines": rows, "notes": made.notes}))
    else:
        show(made, console)
    raise typer.Exit(0 if made.good else 1 if made.counted else NOTHING_COUNTED)


def keep_books(settings: Settings, day: date, now: int) -> Books:
    """All hops that can be counted now."""
    made, lake = Books(day), Lake(settings.home / "lake")
    ours = settings.kafka_override is not None or runs_here(settings, "kafka")
    made.lines += _door(settings, made.notes)
    made.lines += set_aside_lines(settings.log_folder / "aside", day)
    spans = _accepted(settings, day, now, made, ours=ours)
    made.lines += _elsewhere(settings, day, made.notes, ours=ours)
    try:
        bronze = books.bronze_of(lake, day)
        made.lines += books.bronze_lines(bronze, spans, day)
        made.lines += books.silver_lines(lake, bronze, day)
        made.lines += books.clean_lines(lake, day)
    except DeltaUnreadable as error:
        made.notes.append(f"The lake is not counted further: {error}. `foryou nightly` makes it.")
    else:
        made.lines += _analytics(settings, lake, day, made.notes)
    return made


def _door(settings: Settings, notes: list[str]) -> list[Line]:
    """The collector's own counters, since it started: by lane only, for it remembers no days."""
    try:
        if not runs_here(settings, "collector"):
            raise httpx.ConnectError("no collector of this home")
        text = httpx.get(f"{settings.url('collector')}/metrics", timeout=2.0).text
    except httpx.HTTPError:
        notes.append("The collector does not run: what it received is not counted.")
        return []
    counted: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            term = sample.name.removeprefix("foryou_collector_").removesuffix("_total")
            if sample.name == "foryou_collector_log_alarm" and sample.value:
                notes.append("The collector's log fills up: Kafka does not take it, or the forwarder does not run.")
            if term in ("received", "accepted", "rejected", "limited") and "lane" in sample.labels:
                counted.setdefault(sample.labels["lane"], {})[term] = int(sample.value)
    notes.append(
        "The collector's lines count since its start, not the day: what it refused has no offset in a lane. What a key"
        " sent too much was not looked at: its lane is unknown."
    )
    return [door_line(lane, terms) for lane, terms in sorted(counted.items())]


def set_aside_lines(folder: Path, day: date) -> list[Line]:
    """What was acknowledged and did not reach Kafka: bytes of the collector's log that went bad, records that Kafka
    will never take. Each piece lies in `folder` since the day that it was found.
    """
    begin = days.start_of(day) / 1000
    pieces = [path for path in folder.glob("*") if path.suffix in (".bad", ".unwanted")]
    lost = sum(begin <= path.stat().st_mtime < begin + days.DAY_MS / 1000 for path in pieces)
    return [Line(LOG, Place("set aside", -1), lost, {"in Kafka": 0}, (Hole("off", 0, 0, None),))] if lost else []


def door_line(lane: str, counted: Mapping[str, int]) -> Line:
    """received = accepted + rejected + limited."""
    right = {term: counted.get(term, 0) for term in ("accepted", "rejected", "limited")}
    received = counted.get("received", 0)
    off = received != sum(right.values())
    return Line(DOOR, Place(lane, -1), received, right, (Hole("off", 0, 0, None),) if off else ())


def _accepted(settings: Settings, day: date, now: int, made: Books, *, ours: bool) -> dict[Place, Span]:
    """Which offsets of the lanes belong to the day; adds what Flink said of them. Kafka is asked where it is `ours`."""
    from confluent_kafka import KafkaException

    from foryou.cli.scan import Scanner
    from foryou.contract.codec import Registry

    address, _, port = settings.kafka.split(",")[0].rpartition(":")
    if not ours or answers(address or settings.host, int(port)) is not None:
        made.notes.append(
            "Kafka does not run: accepted events are those that bronze has, Flink's verdicts are not counted."
        )
        return {}
    start = days.start_of(day)
    scanner = Scanner(settings.kafka)
    try:
        found = spans_of(settings.kafka, [*books.LANES, FLAGGED, REJECTED], start, start + days.DAY_MS)
        refused, flagged = (_count(found.pop(name, {})) for name in (REJECTED, FLAGGED))
        made.notes.append(f"Apart from the lanes, of the day: {refused:,} dead letters, {flagged:,} flagged.")
        spans = {Place(topic, part): span for topic, of in found.items() for part, span in of.items()}
        if all(span.whole for span in spans.values()):
            verdicts = read_verdicts(scanner, Registry(settings.registry_url), start, now)
            made.lines += verdict_lines(verdicts, spans, TAPS)
        else:
            made.notes.append("Kafka has dropped records of that day: Flink's verdicts are not counted.")
    except (KafkaException, KeyError, ConnectionError, httpx.HTTPError) as error:
        made.notes.append(f"Flink's verdicts are not counted: {error}")
        return {}
    finally:
        scanner.close()
    return spans


def _elsewhere(settings: Settings, day: date, notes: list[str], *, ours: bool = True) -> list[Line]:
    """What the forwarder carried to other topics or clusters: accepted, and in no lane here, so in no equation. Other
    topics of the home's own Kafka are asked for where that is `ours`.
    """
    from confluent_kafka import KafkaException

    start, lines = days.start_of(day), []
    for name, there in settings.gate().residency.to.items():
        kafka = there.kafka or settings.kafka
        address, _, port = kafka.split(",")[0].rpartition(":")
        try:
            if not (ours or there.kafka) or answers(address, int(port)) is not None:
                raise ConnectionError("it does not answer")
            found = spans_of(kafka, [topic + there.suffix for topic in INTAKE], start, start + days.DAY_MS)
        except (KafkaException, KeyError, ConnectionError) as error:
            notes.append(f"What lives in {name} is not counted: Kafka at {kafka}: {error}")
            continue
        places = {Place(topic, part): span.end - span.start for topic, of in found.items() for part, span in of.items()}
        lines += [Line(ELSEWHERE, place, count, {f"in {name}": count}, ()) for place, count in places.items() if count]
    return lines


def _count(spans: Mapping[int, Span]) -> int:
    return sum(span.end - span.start for span in spans.values())


def _analytics(settings: Settings, lake: Lake, day: date, notes: list[str]) -> list[Line]:
    if not runs_here(settings, "analytics"):
        notes.append("ClickHouse is not running: it is not counted.")
        return []
    columns = "app_id, event_id, event_type, source_partition, source_offset, origin"
    try:
        rows = _ask(settings, f"SELECT {columns} FROM events WHERE day = {{day:Date}}", day)
        hidden = _ask(settings, "SELECT count() AS n FROM events WHERE day = {day:Date} AND user_key = ''", day)
        replaced = _ask(settings, "SELECT day FROM replaced WHERE table = 'events' AND day = {day:Date}", day)
    except httpx.HTTPStatusError as error:
        notes.append(f"ClickHouse is not counted: {error.response.text.strip()[:200]}")
    except httpx.HTTPError:
        notes.append("ClickHouse is not running: it is not counted.")
    else:
        if count := hidden["n"][0].as_py():
            told = "no consent to analytics: they count and tell nobody"
            notes.append(f"Of the events in ClickHouse {count:,} stand without their person ({told}).")
        return books.analytics_lines(lake, day, rows, replaced.num_rows > 0)
    return []


def _ask(settings: Settings, statement: str, day: date) -> pa.Table:
    """A SELECT's rows. Raises httpx.HTTPError."""
    asked = {"param_day": day.isoformat(), "default_format": "ArrowStream", "output_format_arrow_string_as_string": "1"}
    answer = httpx.post(settings.url("analytics"), params=asked, content=statement, timeout=60.0)
    answer.raise_for_status()
    return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all() if answer.content else pa.table({})


def show(made: Books, console: Console) -> None:
    """The equations, rolled up; holes with their places."""
    table = Table(title=f"The books of {made.day} (UTC)", title_justify="left")
    for name in ("hop", "lane or topic"):
        table.add_column(name)
    table.add_column("left", justify="right")
    table.add_column("right")
    table.add_column("")
    for total in totals(made.lines):
        told = " + ".join(f"{count:,} {term}" for term, count in total.right.items() if count or term != IN_FLIGHT)
        mark = "[green]✓[/]" if total.holds else "[red]✗[/]"
        table.add_row(total.hop, label(total.name), f"{total.left:,}", told, mark)
    console.print(table)
    for note in made.notes:
        console.print(f"[dim]{note}[/]", highlight=False)
    if not made.counted:
        mend = "start the stack (`foryou up`), send an event, or say --date"
        told = f"Nothing of {made.day} was counted, so nothing is known: {mend}."
        console.print(f"[yellow]{told}", highlight=False, soft_wrap=True)
    holes = [(line, hole) for line in made.lines for hole in line.holes]
    for hop in dict.fromkeys(line.hop for line, _ in holes):
        for where in [_where(line, hole) for line, hole in holes if line.hop == hop][:SHOWN_HOLES]:
            console.print(f"[red]✗ {hop}[/]: {where}", highlight=False, soft_wrap=True)
        console.print(f"  {TODO[hop].replace('<day>', made.day.isoformat())}", highlight=False, soft_wrap=True)


def label(topic: str) -> str:
    """A topic as the table names it: an import's is its lane, and below that both ends of the import's id (`--json` and
    holes have the whole)."""
    lane, number = books.lane_of_topic(topic), topic.rpartition(".")[2]
    if lane == topic:
        return topic
    short = f"{number[:ID_END]}…{number[-ID_END:]}" if len(number) > 2 * ID_END else number
    return f"{lane}\nimport {short}"


def _where(line: Line, hole: Hole) -> str:
    if line.hop == LOG:
        return f"{line.left:,} pieces of the collector's log did not reach Kafka"
    if line.hop == DOOR:
        return f"{line.place.topic}: {line.left:,} received, {sum(line.right.values()):,} accounted for"
    at = datetime.fromtimestamp(hole.since_ms / 1000, UTC).strftime(", from %H:%M") if hole.since_ms else ""
    many = f"offset {hole.first}" if hole.first == hole.last else f"offsets {hole.first} to {hole.last}"
    return f"{hole.kind}: {line.place.topic}[{line.place.partition}] {many}{at}"
