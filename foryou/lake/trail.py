"""Where in the lake one event is: in an import that waits, its copies in bronze, the copy that silver kept, its clean
row, the tiles that count it. Read without Spark, by day."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foryou.contract.codec import Decoder, NotAvro
from foryou.features import predicate
from foryou.features.definitions import VIEWS
from foryou.features.spec import View
from foryou.lake.days import day_of
from foryou.lake.delta_files import DeltaUnreadable, read
from foryou.lake.ledger import Place
from foryou.lake.tables import Lake

Row = dict[str, Any]
Span = tuple[str, str]
INBOX = "inbox"  # the step of an event whose import no night has taken yet


@dataclass(frozen=True)
class Step:
    """One place in the lake: when it came to be (UTC ms, None: not known), where, and what is known of it there."""

    name: str
    at_ms: int | None
    where: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def trail(lake: Lake, event_id: str, near_ms: int | None, places: Collection[tuple[Place, int]] = ()) -> list[Step]:
    """The steps of an event through the lake, as far as it came. near_ms: about when it happened, which spares days;
    places: where Kafka has it (partition and offset). A lake that is not there has no steps."""
    silver = _silver(lake, event_id, near_ms)
    table, row = silver if silver is not None else ("", None)
    at = set(places)
    if row is not None:
        at.add((Place(row["topic"], row["source_partition"]), row["source_offset"]))
    steps = [*_inbox(lake, event_id)]
    steps += [step for place, offset in sorted(at, key=str) for step in _bronze(lake, place, offset, near_ms, row)]
    if row is None:
        return steps
    won = f"{row['topic']}[{row['source_partition']}]@{row['source_offset']}"
    known: Row = {name: row[name] for name in ("event_type", "received_at", "late") if name in row}
    steps.append(Step("silver", None, f"{table}/day={row['day']}", {"kept": won, **known}))
    if table == "silver/events":
        steps += _clean_and_tiles(lake, row)
    return steps


def _inbox(lake: Lake, event_id: str) -> Iterator[Step]:
    """Its rows in imports that no night has taken. Values are looked through as bytes; what holds the id is decoded."""
    decode = Decoder(lambda number: msgspec.json.decode((lake.schemas / f"{number}.avsc").read_bytes()))
    for folder in sorted(lake.inbox.glob("[!.]*/")):
        if (folder / ".taken").exists():
            continue
        for path in sorted(folder.glob("part-*.parquet")):
            for found in _holding(path, event_id):
                try:
                    record = decode(found["value"])
                except (NotAvro, FileNotFoundError):  # laid there by somebody else: the night will say what it is
                    continue
                if record.get("event_id") == event_id:
                    place = f"{found['topic']}[{found['partition']}]@{found['offset']}"
                    told = {"import": folder.name, "event_type": record.get("event_type")}
                    yield Step(INBOX, found["kafka_time"], place, told)


def _holding(path: Path, event_id: str) -> Iterator[Row]:
    with pq.ParquetFile(path) as part:
        for batch in part.iter_batches(columns=["topic", "partition", "offset", "kafka_time", "value"]):
            yield from batch.filter(pc.match_substring(batch["value"], event_id)).to_pylist()


def _silver(lake: Lake, event_id: str, near_ms: int | None) -> tuple[str, Row] | None:
    """The row that silver kept, and its table."""
    near = [_around(day_of(near_ms), 1)] if near_ms else []
    for span in [*near, None]:
        for path in (lake.events, lake.content, lake.account):
            rows = _rows(path, span, pc.field("event_id") == event_id)
            if rows:
                found = rows[0] | {"day": day_of(rows[0]["time"])}
                return Path(path).relative_to(lake.root).as_posix(), found
    return None


def _bronze(lake: Lake, place: Place, offset: int, near_ms: int | None, row: Row | None) -> Iterator[Step]:
    about = row["received_at"] if row else near_ms
    # A day to each side: midnight between two stamps, and a phone's clock in the id.
    span = _around(day_of(about), 1) if about else None
    wanted = (pc.field("topic") == place.topic) & (pc.field("offset") == offset)
    wanted &= pc.field("partition") == place.partition
    columns = ["origin", "kafka_time", "schema_id"]
    for found in _rows(lake.bronze, span, wanted, columns) or (
        _rows(lake.bronze, None, wanted, columns) if span else []
    ):
        kept = row is not None and (row["topic"], row["source_partition"], row["source_offset"]) == (
            place.topic,
            place.partition,
            offset,
        )
        told = {"place": f"{place.topic}[{place.partition}]@{offset}", "origin": found["origin"]}
        told |= {"schema_id": found["schema_id"]} | ({} if kept or row is None else {"copy_of": row["event_id"]})
        yield Step("bronze", found["kafka_time"], f"bronze/day={day_of(found['kafka_time'])}", told)


def _clean_and_tiles(lake: Lake, row: Row) -> Iterator[Step]:
    day = row["day"].isoformat()
    rows = _rows(lake.clean, (day, day), pc.field("event_id") == row["event_id"])
    for clean in rows:
        told = ("category", "creator_key", "relation", "relation_on", "nth", "late", "flagged")
        detail = {name: clean[name] for name in told if clean.get(name) is not None}
        yield Step("clean row", None, f"silver/clean/day={day}", detail)
        for view in VIEWS.values():
            if predicate.evaluate(view.where, clean) is True:
                yield from _tiles(lake, view, clean)


def _tiles(lake: Lake, view: View, clean: Row) -> Iterator[Step]:
    for resolution in view.tiles:
        start = clean["time"] - clean["time"] % resolution.ms
        wanted = (pc.field("app_id") == clean["app_id"]) & (pc.field(view.entity) == clean[view.entity])
        wanted &= (pc.field("tile_ms") == resolution.ms) & (pc.field("tile_start") == start)
        if view.facet:
            wanted &= pc.field(view.facet) == clean[view.facet]
        day = day_of(start).isoformat()
        for tile in _rows(lake.tiles(view), (day, day), wanted, ["tile_ms", "tile_start", "n"]):
            yield Step(f"batch tile {view.full_name}", None, f"gold/tiles/{view.full_name}/day={day}", tile)


def _around(day: date, reach: int) -> Span:
    return (day - timedelta(days=reach)).isoformat(), (day + timedelta(days=reach)).isoformat()


def _rows(path: str, span: Span | None, wanted: pc.Expression, columns: list[str] | None = None) -> list[Row]:
    try:
        table = read(Path(path), columns, span, wanted)
    except (DeltaUnreadable, FileNotFoundError, pa.ArrowInvalid):
        return []
    rows: list[Row] = table.to_pylist()
    return rows
