"""The lake's side of the books: bronze, silver and clean by offset, read from Delta without Spark."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foryou.contract.codec import Decoder, NotAvro
from foryou.contract.events import TYPES, Lane
from foryou.contract.schemas import AvroSchema
from foryou.lake import days
from foryou.lake.delta_files import DeltaUnreadable, live_files, read
from foryou.lake.ledger import NO_CLOCK, NO_END, Clock, Line, Offsets, Place, balance
from foryou.lake.stream_progress import unread
from foryou.lake.tables import Lake
from foryou.lake.topic_spans import Span

LANES = tuple(str(lane) for lane in Lane)
NOTHING: Offsets = np.empty(0, np.int64)
BRONZE = "accepted = bronze"
SILVER = "bronze = silver + copies + unreadable"
CLEAN = "silver = clean"
ANALYTICS = "silver = ClickHouse"


def lane_of_topic(topic: str) -> str:
    """The lane of a topic of bronze: itself, or the one inside of import.<lane>.<import id>."""
    return topic.removeprefix("import.").rsplit(".", 1)[0] if topic.startswith("import.") else topic


@dataclass(frozen=True)
class Bronze:
    """What bronze took on a day: of every place the offsets with their times, and how far it is (the next offset)."""

    clocks: Mapping[Place, Clock]
    reached: Mapping[Place, int]

    def of_day(self, place: Place, span: Span | None, day: date) -> Offsets:
        """The offsets of the day that must be there. By Kafka while it holds the day; else by bronze itself, whose
        offsets have no gaps (an import's may: what it refused has no offset)."""
        if span is not None and span.whole:
            return np.arange(span.start, span.end)
        clock = self.clocks.get(place, NO_CLOCK)
        start = days.start_of(day)
        mine = clock.offsets[(clock.times >= start) & (clock.times < start + days.DAY_MS)]
        live = not place.topic.startswith("import.") and len(mine) > 0
        return np.arange(mine[0], mine[-1] + 1) if live else mine


def bronze_of(lake: Lake, day: date) -> Bronze:
    """From the day before on: an offset in the middle of a day may bear the time of the one beside it, and what came
    later tells how far bronze is. Raises DeltaUnreadable."""
    columns = ["topic", "partition", "offset", "kafka_time"]
    since = ((day - timedelta(days=1)).isoformat(), "9999-12-31")
    table = read(Path(lake.bronze), columns, since, pc.field("topic") != "feed.served.v1")
    clocks = {}
    for place, rows in _by_place(table, "partition").items():
        offsets, first = np.unique(rows["offset"].to_numpy(), return_index=True)
        clocks[place] = Clock(offsets, rows["kafka_time"].to_numpy()[first])
    return Bronze(clocks, {place: int(clock.offsets[-1]) + 1 for place, clock in clocks.items()})


def bronze_lines(bronze: Bronze, spans: Mapping[Place, Span], day: date) -> list[Line]:
    """accepted = bronze, by partition of the live lanes."""
    lines = []
    for place in sorted({*spans, *bronze.clocks}, key=_order):
        expected = bronze.of_day(place, spans.get(place), day)
        if place.topic in LANES and len(expected):
            clock = bronze.clocks.get(place, NO_CLOCK)
            reached = bronze.reached.get(place, 0)
            lines.append(balance(BRONZE, place, expected, {"bronze": clock.offsets}, reached, clock))
    return lines


def silver_lines(lake: Lake, bronze: Bronze, day: date) -> list[Line]:
    """bronze = silver + copies + unreadable, of what bronze took on the day. Raises DeltaUnreadable."""
    start = days.start_of(day)
    took = {
        place: clock.offsets[(clock.times >= start) & (clock.times < start + days.DAY_MS)]
        for place, clock in bronze.clocks.items()
    }
    took = {place: offsets for place, offsets in took.items() if len(offsets)}
    reached = _silver_reached(lake)  # before silver is read: it may go on meanwhile
    unreadable = _unreadable(lake, day)
    silver = {table: _silver_offsets(Path(table), took) for table in set(_tables(lake).values())}
    lines = []
    for place, offsets in sorted(took.items(), key=lambda item: _order(item[0])):
        table = _tables(lake)[lane_of_topic(place.topic)]
        kept, broken = silver[table].get(place, NOTHING), unreadable.get(place, NOTHING)
        rest = np.setdiff1d(offsets, np.concatenate([kept, broken]))
        copies = _copies(lake, Path(table), place, rest[rest < reached(place)], day)
        terms = {"silver": kept, "copies": copies, "unreadable": broken}
        lines.append(balance(SILVER, place, offsets, terms, reached(place), bronze.clocks[place]))
    return lines


def _silver_reached(lake: Lake) -> Callable[[Place], int]:
    """The first offset of a place that silver has not looked at."""
    files = unread(Path(lake.bronze), lake.silver_checkpoint)
    if files is None:
        return lambda place: 0
    first: dict[Place, int] = {}
    for file in files:
        rows = pq.read_table(file.path, columns=["topic", "partition", "offset"])
        for row in rows.group_by(["topic", "partition"]).aggregate([("offset", "min")]).to_pylist():
            place = Place(row["topic"], row["partition"])
            first[place] = min(row["offset_min"], first.get(place, NO_END))
    return lambda place: first.get(place, NO_END)


def _tables(lake: Lake) -> dict[str, str]:
    return {
        Lane.ACTION: lake.events,
        Lane.CONTEXT: lake.events,
        Lane.CONTENT: lake.content,
        Lane.ACCOUNT: lake.account,
    }


def _order(place: Place) -> tuple[str, int]:
    return place.topic, place.partition


def _by_place(table: pa.Table, partition: str) -> dict[Place, pa.Table]:
    if not table.num_rows:
        return {}
    pairs = table.group_by(["topic", partition]).aggregate([]).to_pylist()
    return {
        Place(pair["topic"], pair[partition]): table.filter(
            (pc.field("topic") == pair["topic"]) & (pc.field(partition) == pair[partition])
        )
        for pair in pairs
    }


def _silver_offsets(table: Path, took: Mapping[Place, Offsets]) -> dict[Place, Offsets]:
    """Places of silver's rows near those that were taken. Silver lies by the day of the event, which may be long
    before."""
    if not took:
        return {}
    columns = ["topic", "source_partition", "source_offset"]
    within = pc.field("topic").isin(sorted({place.topic for place in took}))
    found = _by_place(read(table, columns, None, within), "source_partition")
    return {place: np.unique(rows["source_offset"].to_numpy()) for place, rows in found.items()}


def _unreadable(lake: Lake, day: date) -> dict[Place, Offsets]:
    try:
        table = read(Path(lake.unreadable), ["topic", "partition", "offset"], (day.isoformat(), day.isoformat()))
    except DeltaUnreadable:
        return {}
    return {place: np.unique(rows["offset"].to_numpy()) for place, rows in _by_place(table, "partition").items()}


def _copies(lake: Lake, table: Path, place: Place, rest: Offsets, day: date) -> Offsets:
    """Those of the offsets whose event id silver has from another place."""
    if not len(rest):
        return NOTHING
    ids = _ids(lake, place, rest, day)
    known = read(
        table, ["app_id", "event_id"], None, pc.field("event_id").isin(sorted({id_ for _, id_ in ids.values()}))
    )
    has = set(zip(known["app_id"].to_pylist(), known["event_id"].to_pylist(), strict=True)) if known.num_rows else set()
    return np.array(sorted(offset for offset, pair in ids.items() if pair in has), np.int64)


def _ids(lake: Lake, place: Place, offsets: Offsets, day: date) -> dict[int, tuple[str, str]]:
    """offset → (app_id, event_id), read from bronze's bytes."""
    decode = Decoder(saved_schemas(lake))
    wanted = (pc.field("topic") == place.topic) & (pc.field("partition") == place.partition)
    wanted &= pc.field("offset").isin(offsets.tolist())
    found = {}
    for file in live_files(Path(lake.bronze)):
        if file.partition.get("day") == day.isoformat():
            for row in pq.read_table(file.path, columns=["offset", "value"], filters=wanted).to_pylist():
                try:
                    record = decode(row["value"])
                except NotAvro:
                    continue
                found[row["offset"]] = record["app_id"], record["event_id"]
    return found


def saved_schemas(lake: Lake) -> Callable[[int], AvroSchema]:
    """The lake's own schemas. The function raises NotAvro for one that is not there."""

    def fetch(number: int) -> AvroSchema:
        try:
            found: AvroSchema = json.loads((lake.schemas / f"{number}.avsc").read_text("utf-8"))
        except FileNotFoundError as error:
            raise NotAvro(f"the lake has no schema {number}") from error
        return found

    return fetch


def clean_lines(lake: Lake, day: date) -> list[Line]:
    """silver = clean, of the events whose time is in the day. A day that is to be made again is in flight."""
    silver = silver_day(lake, day)
    try:
        clean = read(Path(lake.clean), ["app_id", "event_id"], _only(day))
    except DeltaUnreadable:
        clean = pa.table({})
    waits = day in days.marked(lake.dirty)
    return _found_again(CLEAN, "clean", silver, clean, lambda place: 0 if waits else NO_END)


def silver_day(lake: Lake, day: date) -> pa.Table:
    """Silver's events whose time is in the day, with their places. Raises DeltaUnreadable."""
    columns = ["app_id", "event_id", "topic", "source_partition", "source_offset", "received_at", "late"]
    return read(Path(lake.events), columns, _only(day))


def analytics_lines(lake: Lake, day: date, rows: pa.Table, replaced: bool) -> list[Line]:
    """silver = ClickHouse, of the events whose time is in the day. rows: its table `events` (app_id, event_id,
    event_type, source_partition, source_offset, origin). A day that the night has replaced has everything; before that,
    it has what is not late, up to where its loader is."""
    silver = silver_day(lake, day)
    if replaced:
        waits = day in days.marked(lake.made) or day in days.marked(lake.dirty)
        return _found_again(ANALYTICS, "ClickHouse", silver, rows, lambda place: 0 if waits else NO_END)
    context = [name for name, kind in TYPES.items() if kind.lane == Lane.CONTEXT]
    reached = {}
    if rows.num_rows:
        is_context = pc.is_in(rows["event_type"], pa.array(context))
        lanes = pc.if_else(is_context, Lane.CONTEXT.value, Lane.ACTION.value)
        told = rows.append_column("topic", lanes).group_by(["topic", "source_partition"])
        for row in told.aggregate([("source_offset", "max")]).to_pylist():
            reached[Place(row["topic"], row["source_partition"])] = row["source_offset_max"] + 1
    silver = silver.filter(~pc.field("late")) if silver.num_rows else silver
    return _found_again(ANALYTICS, "ClickHouse", silver, rows, lambda place: reached.get(place, 0))


def _only(day: date) -> tuple[str, str]:
    return day.isoformat(), day.isoformat()


def _found_again(hop: str, term: str, silver: pa.Table, other: pa.Table, reached: Callable[[Place], int]) -> list[Line]:
    """Whether each row of silver is in the other table, by (app_id, event_id)."""
    if not silver.num_rows:
        return []
    known = _key(other) if other.num_rows else pa.array([], pa.string())
    is_there = pc.is_in(_key(silver), known)
    lines = []
    for place, rows in sorted(
        _by_place(silver.append_column("there", is_there), "source_partition").items(), key=lambda item: _order(item[0])
    ):
        offsets, first = np.unique(rows["source_offset"].to_numpy(), return_index=True)
        clock = Clock(offsets, rows["received_at"].to_numpy()[first])
        found = np.unique(rows.filter(pc.field("there"))["source_offset"].to_numpy())
        lines.append(balance(hop, place, offsets, {term: found}, reached(place), clock))
    return lines


def _key(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table["app_id"].cast(pa.string()), table["event_id"].cast(pa.string()), "|")
