"""`foryou trace <event_id>`: every hop of one event, from the collector's topic to the next page, ClickHouse and the
lake."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import httpx
from confluent_kafka import Message

from foryou.cli.scan import Scanner
from foryou.contract.codec import Decoder, Record, Registry
from foryou.contract.events import Lane
from foryou.contract.ids import time_of
from foryou.contract.topics import FLAGGED, REJECTED
from foryou.features import predicate
from foryou.features.definitions import VIEWS
from foryou.features.spec import View
from foryou.lake.days import DAY_MS, day_of
from foryou.lake.ledger import Place
from foryou.lake.tables import Lake
from foryou.lake.trail import INBOX, trail
from foryou.local.lifecycle import runs_here
from foryou.service.settings import Settings

VERDICTS = ("events.clean.v1", "events.duplicate.v1", "events.late.v1")
CLOCK_SLACK_MS = 600_000  # between a phone's clock, in a UUIDv7, and ours
POLL_S = 0.1
IN_CLICKHOUSE = """
SELECT day, origin, as_of FROM events
WHERE event_id = {id:String} AND day BETWEEN {first:Date} AND {last:Date}
ORDER BY as_of FORMAT JSONEachRow
"""
_DOORS = {REJECTED: "rejected", FLAGGED: "flagged"}  # where the collector puts what is in no lane
NO_PAGE_YET = "next page (none was asked for since)"
NO_NIGHT_YET = "the lake (`foryou nightly` brings it)"
_WAITS = "the lake's tables (it waits in the inbox of import {}; `foryou nightly` takes it)"
NOT_LIVE = "Kafka (it is not held any more, or it is history by `foryou import`)"


@dataclass(frozen=True)
class Hop:
    """One place that the event reached: when (UTC ms; None for the store, which is read now), where, and what is
    known of it there.
    """

    name: str
    at_ms: int | None
    where: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """The hops of one event in order. `missing` names those that did not show up in time, `later` those that may take
    until the next night."""

    event_id: str
    hops: tuple[Hop, ...]
    missing: tuple[str, ...]
    later: tuple[str, ...] = ()


def trace(settings: Settings, event_id: str, wait_s: float = 5.0) -> Trace:
    """Follows an event; waits up to `wait_s` for live hops that it has not reached yet. Reads only.

    Raises ConnectionError when Kafka does not answer.
    """
    deadline = time.monotonic() + wait_s
    scanner, decode = Scanner(settings.kafka), Registry(settings.registry_url).decoder()
    try:
        live = _Tracer(settings, scanner, decode, event_id, deadline).run()
    finally:
        scanner.close()
    return with_the_past(settings, live)


def with_the_past(settings: Settings, live: Trace) -> Trace:
    """The trace with what ClickHouse and the lake have of the event. What the live path never saw, or no longer holds,
    may be there: history, or last month."""
    accepted = [hop for hop in live.hops if hop.name == "accepted"]
    if live.hops and not accepted:
        return live  # rejected: it goes nowhere
    places = {place for hop in accepted if (place := _place_of(hop.where)) is not None}
    near = accepted[0].at_ms if accepted else time_of(live.event_id)
    told, later = _analytics(settings, live.event_id)
    steps = trail(Lake(settings.home / "lake"), live.event_id, near, places)
    lake = [Hop(step.name, step.at_ms, step.where, step.detail) for step in steps]
    if not lake and live.hops:
        later.append(NO_NIGHT_YET)
    waits = dict.fromkeys(_WAITS.format(step.detail["import"]) for step in steps if step.name == INBOX)
    hops = (*live.hops, *told, *lake)
    gone = hops and not live.hops
    absent = [NOT_LIVE] if gone else later if hops else []
    return Trace(live.event_id, hops, () if gone else live.missing, (*absent, *waits))


def _place_of(where: str) -> tuple[Place, int] | None:
    found = re.fullmatch(r"(.+)\[(\d+)\]@(\d+)", where)
    return None if found is None else (Place(found[1], int(found[2])), int(found[3]))


def _analytics(settings: Settings, event_id: str) -> tuple[list[Hop], list[str]]:
    """The event's rows in ClickHouse, and what is to be said when there are none."""
    near = time_of(event_id)
    span = (near - DAY_MS, near + DAY_MS) if near is not None else (0, 150 * 365 * DAY_MS)
    asked = {"param_id": event_id, "param_first": f"{day_of(span[0])}", "param_last": f"{day_of(span[1])}"}
    try:
        if not runs_here(settings, "analytics"):
            raise httpx.ConnectError("no ClickHouse of this home")
        answer = httpx.post(settings.url("analytics"), params=asked, content=IN_CLICKHOUSE, timeout=5.0)
    except httpx.TransportError:
        return [], ["ClickHouse (it is not running)"]
    if answer.status_code != 200:
        return [], [f"ClickHouse ({answer.text.strip()[:120]})"]
    rows = [json.loads(line) for line in answer.text.splitlines()]
    hops = [
        Hop("ClickHouse", None, f"events, day {row['day']}", {k: row[k] for k in ("origin", "as_of")}) for row in rows
    ]
    return hops, [] if hops else ["ClickHouse (its loader comes within seconds; late events with the night)"]


class _Tracer:
    def __init__(self, settings: Settings, scanner: Scanner, decode: Decoder, event_id: str, deadline: float) -> None:
        self._settings, self._scanner, self._decode = settings, scanner, decode
        self._event_id, self._deadline = event_id, deadline

    def run(self) -> Trace:
        hops: list[Hop] = []
        accepted = self._accepted()
        if not accepted:
            return Trace(self._event_id, (), ("accepted",))
        hops.extend(_hop(_DOORS.get(m.topic(), "accepted"), m, self._decode(m.value())) for m in accepted)
        admitted = [message for message in accepted if message.topic() in (Lane.ACTION, Lane.CONTEXT)]
        if not admitted:
            return Trace(self._event_id, tuple(hops), ())
        since = min(_at(message) for message in admitted)
        verdicts = self._until(VERDICTS, since, self._is_mine, lambda found: _settled(found, len(admitted)))
        hops.extend(_hop(m.topic().split(".")[1], m, _verdict(self._decode(m.value()))) for m in verdicts)
        clean = next((m for m in verdicts if m.topic() == "events.clean.v1"), None)
        missing = [] if verdicts else ["clean, duplicate or late"]
        if clean is not None:
            row = self._decode(clean.value())
            for view, keys in _touched(row):
                tiles = self._tiles(view, keys, _at(clean))
                hops.extend(tiles)
                missing.extend([] if tiles else [f"tile of {view.full_name}"])
                stored = self._stored(view, row, keys)
                hops.extend(stored)
                missing.extend([] if stored else [f"store {view.full_name}"])
            page = self._next_page(row, _at(clean))
            hops.extend(page)
            missing.extend([] if page else [NO_PAGE_YET])
        return Trace(self._event_id, tuple(hops), tuple(missing))

    def _accepted(self) -> list[Message]:
        """Where the collector put it. A UUIDv7 tells about when; any other id, or a phone whose clock is off, costs a
        scan of all that is retained.
        """
        topics = [*Lane, *_DOORS]
        near = time_of(self._event_id)
        while True:
            found = self._scanner.find(topics, self._is_mine, near - CLOCK_SLACK_MS) if near else []
            found = found or self._scanner.find(topics, self._is_mine)
            if found or time.monotonic() > self._deadline:
                return found
            time.sleep(POLL_S)

    def _is_mine(self, message: Message) -> bool:
        value = message.value()
        return value is not None and self._event_id.encode() in value

    def _until(self, topics: tuple[str, ...], since: int, matches: Any, enough: Any) -> list[Message]:
        while True:
            found = self._scanner.find(topics, matches, since)
            if enough(found) or time.monotonic() > self._deadline:
                return found
            time.sleep(POLL_S)

    def _tiles(self, view: View, keys: list["_TileKey"], since: int) -> list[Hop]:
        def touched(message: Message) -> bool:
            return any(key.matches(message.key()) for key in keys)

        found = self._until((view.topic,), since - 1_000, touched, bool)
        newest = {message.key(): message for message in found if message.value() is not None}
        hops = []
        for message in newest.values():
            tile = self._decode(message.value())
            told = {k: tile[k] for k in ("tile_ms", "tile_start", "salt", "epoch", "n")}
            hops.append(_hop(f"tile {view.full_name}", message, told))
        return hops

    def _stored(self, view: View, row: Record, keys: list["_TileKey"]) -> list[Hop]:
        url = f"{self._settings.url('store')}/tiles/{view.full_name}/{row[view.entity]}"
        wanted = {(key.facet, key.tile_ms, key.tile_start) for key in keys}
        while True:
            try:
                answer = httpx.get(url, params={"app_id": row["app_id"]}, timeout=2.0)
                body = answer.json() if answer.status_code == 200 else {"tiles": []}
            except httpx.TransportError as error:
                return [Hop(f"store {view.full_name}", None, url, {"unreachable": type(error).__name__})]
            held = [t for t in body["tiles"] if (t["facet"], t["tile_ms"], t["tile_start"]) in wanted]
            if held:
                told = {"tiles": len(held), "n": sum(tile["n"] for tile in held)}
                return [Hop(f"store {view.full_name}", None, f"/tiles/{view.full_name}", told)]
            if time.monotonic() > self._deadline:
                return []
            time.sleep(POLL_S)

    def _next_page(self, row: Record, since: int) -> list[Hop]:
        key = f"{row['app_id']}|{row['user_key']}".encode()
        pages = self._scanner.find(["feed.served.v1"], lambda message: message.key() == key, since)
        if not pages:
            return []
        first = min(pages, key=_at)
        page = self._decode(first.value())
        told = {"request_id": page["request_id"], "items": len(page["items"]), "model_version": page["model_version"]}
        return [_hop("next page", first, told)]


@dataclass(frozen=True)
class _TileKey:
    """A tile's record key but for the salt, which the reader merges away."""

    head: bytes
    tail: bytes
    facet: str | None
    tile_ms: int
    tile_start: int

    def matches(self, key: bytes | None) -> bool:
        return key is not None and key.startswith(self.head) and key.endswith(self.tail)


def _touched(row: Record) -> Iterator[tuple[View, list[_TileKey]]]:
    """The tiles that an admitted event goes to: at its own time, and at the time of what it withdraws."""
    times = [time for time in (row["time"], row["cancels_time"]) if time is not None]
    for view in VIEWS.values():
        if predicate.evaluate(view.where, row) is not True:
            continue
        facet = row[view.facet] if view.facet else None
        head = "|".join(part for part in (row["app_id"], row[view.entity], facet) if part is not None) + "|"
        keys = []
        for size in view.tiles:
            for time_ms in times:
                start = time_ms - time_ms % size.ms
                keys.append(_TileKey(head.encode(), f"|{size.ms}|{start}".encode(), facet, size.ms, start))
        yield view, keys


def _settled(found: list[Message], copies: int) -> bool:
    """Every accepted copy has its verdict (a replay may have brought one twice)."""
    return len(found) >= copies


def _verdict(row: Record) -> dict[str, Any]:
    of_state = ("relation", "relation_on", "cancels_time", "cancels_watch_ms")
    wanted = ("category", "creator_key", *of_state, "source_partition", "source_offset")
    return {name: row[name] for name in wanted if row.get(name) is not None}


def _hop(name: str, message: Message, row: Mapping[str, Any]) -> Hop:
    wanted = ("event_type", "received_at", "reason", "field") if name in ("accepted", "rejected") else tuple(row)
    detail = {key: row[key] for key in wanted if row.get(key) is not None}
    return Hop(name, _at(message), f"{message.topic()}[{message.partition()}]@{message.offset()}", detail)


def _at(message: Message) -> int:
    return int(message.timestamp()[1])


def show(result: Trace, as_json: bool, today: date | None = None, *, live: bool = True) -> None:
    """Prints a trace: a table, or JSON for programs. Times stand with their dates unless all are of `today` (UTC).

    `live`: whether Kafka was asked, and so whether nothing found means that there was nothing.
    """
    from rich.table import Table

    from foryou.cli.screen import wide

    if as_json:
        rows = [{"hop": h.name, "at_ms": h.at_ms, "where": h.where, **h.detail} for h in result.hops]
        told = {"event_id": result.event_id, "hops": rows, "missing": result.missing, "later": result.later}
        print(json.dumps(told, default=str))
        return
    console = wide()
    if not result.hops and not live:
        console.print(
            f"No trace of [bold]{result.event_id}[/] in the lake, its inbox or ClickHouse. Kafka was not asked."
        )
        return
    if not result.hops:
        console.print(
            f"No trace of [bold]{result.event_id}[/]: neither accepted nor rejected within what is retained,"
            " nor in the lake or its inbox."
        )
        console.print("Was the post answered with 202? The answer lists the event ids that were taken.")
        return
    table = Table(title=f"event {result.event_id}", title_justify="left", box=None, pad_edge=False)
    for name in ("hop", "at (UTC)", "+ms", "where", "detail"):
        table.add_column(name, no_wrap=name in ("at (UTC)", "+ms"), overflow="fold")  # offsets are never cut
    first = next((hop.at_ms for hop in result.hops if hop.at_ms is not None), 0)
    today = today or datetime.now(UTC).date()
    dated = "" if all(day_of(hop.at_ms) == today for hop in result.hops if hop.at_ms) else "%Y-%m-%d "
    for hop in result.hops:
        at = datetime.fromtimestamp(hop.at_ms / 1000, UTC).strftime(f"{dated}%H:%M:%S.%f")[:-3] if hop.at_ms else ""
        after = str(hop.at_ms - first) if hop.at_ms else ""
        table.add_row(hop.name, at, after, hop.where, " ".join(f"{k}={v}" for k, v in hop.detail.items()))
    console.print(table)
    for name in result.missing:
        console.print(f"[yellow]not seen yet:[/] {name}")
    for name in result.later:
        console.print(f"[dim]not there: {name}[/]", highlight=False)
