"""The same answers in the most naive way: straight from events, three loops and an if. Slow on purpose; for tests.

Shares the definitions and their parsed conditions with the rest, but no code with merge, reading or operations, and
nothing in production evaluates a condition in Python. Events are dicts in order of arrival, with the columns of
events.clean that the collector and the blender know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any, NamedTuple
from zlib import crc32

from foryou.contract.relations import WATCH, WATCHING, relation_of
from foryou.contract.schemas import field_names
from foryou.features.operations import (
    Affinity,
    Collect,
    Count,
    Latest,
    Operation,
    Ratio,
    Reading,
    Recent,
    SecondsSince,
    SessionLength,
    SessionSum,
    Streak,
    Toggle,
    Total,
    Velocity,
    Watched,
    WindowSum,
)
from foryou.features.predicate import evaluate
from foryou.features.spec import TileKey, TileState, Value, View

Event = Mapping[str, Any]
Entity = tuple[str, str]  # app_id, user_key or video_id
MINUTE_MS = 60_000


class Word(NamedTuple):
    """The newest word on a relation; a later (time, event_id) wins."""

    time: int
    event_id: str
    on: bool


class Watch(NamedTuple):
    """The largest watch time of an impression, ms; of equal ones the later (time, event_id)."""

    watch_ms: int
    time: int
    event_id: str


@dataclass(frozen=True)
class Admitted:
    """Every event once: clean (with time, relation, relation_on, cancels_time), a duplicate, or late."""

    clean: list[dict[str, Any]]
    duplicate: list[Event]
    late: list[Event]
    relations: dict[tuple[str, str, str, str], Word]  # app_id, user_key, relation, object
    watches: dict[tuple[str, str, str, str], Watch]  # app_id, user_key, impression_id, video_id


def admit(events: Iterable[Event], bound: int) -> Admitted:
    """Judges events in order of arrival: late first (by more than `bound` ms), then second of its id, else clean."""
    admitted = Admitted([], [], [], {}, {})
    seen: set[tuple[str, str]] = set()
    for event in events:
        if event["received_at"] - event["event_time"] > bound:
            admitted.late.append(event)
        elif (event["app_id"], event["event_id"]) in seen:
            admitted.duplicate.append(event)
        else:
            seen.add((event["app_id"], event["event_id"]))
            admitted.clean.append(_clean(event, admitted, bound))
    return admitted


def _clean(event: Event, admitted: Admitted, bound: int) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(field_names("clean")), **event}
    row["time"] = min(event["event_time"], event["received_at"])
    row["relation"] = row["relation_on"] = None
    row["cancels_time"] = row["cancels_event_id"] = row["cancels_watch_ms"] = None
    if row["event_type"] in WATCHING:
        _watch(row, admitted.watches, bound)
    else:
        _word(row, admitted.relations, bound)
    return row


def _word(row: dict[str, Any], newest: dict[tuple[str, str, str, str], Word], bound: int) -> None:
    relation = relation_of(row["event_type"])
    if relation is None or row[relation.object] is None:
        return
    row["relation"], row["relation_on"] = relation.name, 0
    key = (row["app_id"], row["user_key"], relation.name, row[relation.object])
    word = Word(row["time"], row["event_id"], row["event_type"] == relation.on)
    before = newest.get(key)
    if before is None or word > before:
        newest[key] = word
        row["relation_on"] = int(word.on)
        if before is not None and before.on and row["received_at"] - before.time <= bound:
            row["cancels_time"], row["cancels_event_id"] = before.time, before.event_id


def _watch(row: dict[str, Any], largest: dict[tuple[str, str, str, str], Watch], bound: int) -> None:
    """A larger watch time takes the place of the largest so far; without an impression only a view_end counts."""
    row["relation"], row["relation_on"] = WATCH, int(row["event_type"] == "view_end")
    if None in (row["impression_id"], row["video_id"], row["watch_ms"]):
        return
    key = (row["app_id"], row["user_key"], row["impression_id"], row["video_id"])
    watch, before = Watch(row["watch_ms"], row["time"], row["event_id"]), largest.get(key)
    row["relation_on"] = int(before is None or watch > before)
    if row["relation_on"]:
        largest[key] = watch
        if before is not None and row["received_at"] - before.time <= bound:
            row["cancels_watch_ms"], row["cancels_time"], row["cancels_event_id"] = before


class Contribution(NamedTuple):
    """What a row adds to tiles: itself (sign +1), or the withdrawal of an earlier row (−1) at that one's time."""

    sign: int
    time: int
    nth: int
    row: dict[str, Any]


def _contributions(view: View, clean: Iterable[dict[str, Any]]) -> Iterator[Contribution]:
    arrived: dict[tuple[str, str, int], int] = {}
    for row in clean:
        minute = (row["app_id"], row["user_key"], row["time"] // MINUTE_MS)
        nth = arrived[minute] = arrived.get(minute, 0) + 1
        if evaluate(view.where, row):
            yield Contribution(1, row["time"], nth, row)
            if row["cancels_time"] is not None:
                yield Contribution(-1, row["cancels_time"], nth, row)


def crc_salt(event_id: str, salts: int) -> int:
    """A salt as good as an engine's: any function of the event id alone gives the same features."""
    return crc32(event_id.encode()) % salts


def tiles(
    view: View, clean: Iterable[dict[str, Any]], epoch: int = 1, salt_of: Callable[[str, int], int] = crc_salt
) -> dict[Entity, dict[TileKey, TileState[Any]]]:
    """entity → its tiles, as an engine should compute them (lists in the order of time)."""
    parts: dict[tuple[Entity, TileKey], list[Contribution]] = {}
    for c in _contributions(view, clean):
        for resolution in view.tiles:
            entity = (c.row["app_id"], c.row[view.entity])
            facet = c.row[view.facet] if view.facet else None
            key = (
                facet,
                resolution.ms,
                c.time // resolution.ms * resolution.ms,
                salt_of(c.row["event_id" if c.sign == 1 else "cancels_event_id"], view.salts),
            )
            parts.setdefault((entity, key), []).append(c)
    found: dict[Entity, dict[TileKey, TileState[Any]]] = {}
    for (entity, key), part in parts.items():
        times = [c.time for c in part if c.sign == 1]
        measures = tuple(_measure(m.op, part) for m in view.measures)
        first, last = (min(times), max(times)) if times else (None, None)
        found.setdefault(entity, {})[key] = TileState(epoch, len(times), first, last, measures)
    return found


def _measure(op: Operation, part: list[Contribution]) -> Any:
    rows = [c.row for c in part if c.sign == 1]
    match op:
        case Count(where):
            return len([row for row in rows if evaluate(where, row)])
        case Total(column, where):
            return sum(evaluate(column, row) or 0 for row in rows if evaluate(where, row))
        case Toggle(relation):
            about = [c for c in part if c.row["relation"] == relation]
            return sum(c.row["relation_on"] or 0 if c.sign == 1 else -1 for c in about)
        case Watched():
            watches = [c for c in part if c.row["relation"] == WATCH]
            return sum(
                (c.row["relation_on"] * (c.row["watch_ms"] or 0)) if c.sign == 1 else -c.row["cancels_watch_ms"]
                for c in watches
            )
        case Latest(where):
            return max((row["time"] for row in rows if evaluate(where, row)), default=None)
        case Collect():
            kept = [c.row for c in part if c.sign == 1 and c.nth <= op.keep and evaluate(op.where, c.row)]
            records = [
                (*(row[field] for field in op.fields), *(int(evaluate(flag, row) is True) for _, flag in op.flags))
                for row in kept
            ]
            return tuple(sorted(records, key=lambda record: [(value is not None, value) for value in record]))


def features(view: View, clean: Iterable[dict[str, Any]], entity: Entity, now: int) -> dict[str, Value]:
    """All features of one entity at `now`. An event counts when its tile overlaps [now − window, now]."""
    rows = list(clean)
    app_id, name = entity
    mine = [c for c in _contributions(view, rows) if c.row["app_id"] == app_id and c.row[view.entity] == name]
    return {feature.name: _Moment(view, mine, now).value(feature.read) for feature in view.features}


@dataclass(frozen=True)
class _Moment:
    view: View
    mine: list[Contribution]
    now: int

    def within(self, window: int, tile: int) -> list[Contribution]:
        """Contributions whose tile of that size overlaps [now − window, now]."""
        found = []
        for c in self.mine:
            start = c.time // tile * tile
            if start <= self.now and start + tile > self.now - window:
                found.append(c)
        return found

    def op(self, name: str) -> Operation:
        return next(m.op for m in self.view.measures if m.name == name)

    def total(self, name: str, of: list[Contribution]) -> int:
        result: int = _measure(self.op(name), of)
        return result

    def value(self, read: Reading) -> Value:
        match read:
            case WindowSum(measure, window, tile):
                return self.total(measure, self.within(window, tile))
            case Ratio():
                part = self.within(read.window, read.tile)
                above, below = self.total(read.numerator, part), self.total(read.denominator, part)
                return (above + read.mean * read.weight) / (below + read.weight)
            case Velocity():
                short = self.total(read.measure, self.within(read.short, read.short_tile)) / (read.short / MINUTE_MS)
                long = self.total(read.measure, self.within(read.long, read.long_tile)) / (read.long / MINUTE_MS)
                return (short + read.smoothing) / (long + read.smoothing)
            case SessionSum(measure, gap):
                return self.total(measure, self.session(gap))
            case SessionLength(gap):
                times = [c.time for c in self.session(gap) if c.sign == 1]
                return max(times) - min(times) if times else 0
            case SecondsSince(measure):
                newest = max(
                    (_measure(self.op(measure), self.within(r.keep, r.ms)) or -1 for r in self.view.tiles), default=-1
                )
                return None if newest < 0 else max(0, self.now - newest) / 1000
            case Recent():
                names = self.collect(read.measure).names
                values = [record[names.index(read.field)] for record in self.newest_first(read.measure)]
                distinct: list[str] = []
                for value in values:
                    if value is not None and value not in distinct:
                        distinct.append(value)
                return distinct[: read.limit]
            case Streak():
                names = self.collect(read.measure).names
                streak = 0
                for record in self.newest_first(read.measure):
                    if record[names.index(read.miss)]:
                        return streak
                    streak += record[names.index(read.hit)]
                return streak
            case Affinity():
                ranked = sorted(self.scores(read).items(), key=lambda scored: (-scored[1], scored[0]))[: read.limit]
                return [facet for facet, _ in ranked] if read.part == "facets" else [score for _, score in ranked]

    def session(self, gap: int) -> list[Contribution]:
        """Walks back from now over every event, until there was silence for longer than `gap`."""
        (resolution,) = self.view.tiles
        kept = self.within(resolution.keep, resolution.ms)
        times = sorted({c.time for c in kept if c.sign == 1}, reverse=True)
        since = self.now
        for time in times:
            if since - time > gap:
                break
            since = time
        if not times or self.now - times[0] > gap:
            return []
        # A withdrawal belongs to the minute of what it withdraws.
        minutes = {time // resolution.ms for time in times if time >= since}
        return [c for c in kept if c.time // resolution.ms in minutes]

    def collect(self, name: str) -> Collect:
        op = self.op(name)
        assert isinstance(op, Collect)
        return op

    def newest_first(self, name: str) -> list[tuple[Any, ...]]:
        """Collected records of whole minutes, newest first, until op.newest are found."""
        (resolution,) = self.view.tiles
        op = self.collect(name)
        kept = self.within(resolution.keep, resolution.ms)
        found: list[tuple[Any, ...]] = []
        for minute in sorted({c.time // resolution.ms for c in kept}, reverse=True):
            if len(found) >= op.newest:
                break
            found += reversed(_measure(op, [c for c in kept if c.time // resolution.ms == minute]))
        return found

    def scores(self, read: Affinity) -> dict[str, float]:
        by_tile: dict[tuple[str, int], list[Contribution]] = {}
        for c in self.within(read.window, read.tile):
            assert self.view.facet is not None
            by_tile.setdefault((c.row[self.view.facet], c.time // read.tile), []).append(c)
        above: dict[str, list[float]] = {}
        below: dict[str, list[float]] = {}
        for (facet, number), part in by_tile.items():
            last = max((c.time for c in part if c.sign == 1), default=(number + 1) * read.tile)
            age = max(0, self.now - last)
            decay = 0.5 ** (age / read.half_life) + read.boost * 0.5 ** (age / read.boost_half_life)
            points = fsum(weight * self.total(name, part) for name, weight in read.weights)
            above.setdefault(facet, []).append(decay * points)
            below.setdefault(facet, []).append(decay * self.total(read.exposure, part))
        return {facet: fsum(above[facet]) / (read.prior + fsum(below[facet])) for facet in above}
