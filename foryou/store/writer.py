"""The store writer: tile topics in, packed rows out, values and offsets in one batch.

    start ─▶ fetch ─▶ decode ─▶ merge into the entity's row ─▶ write values + offsets ─▶ fetch …

At-least-once in, exact in the store: a tile carries (epoch, n), `merge.put` keeps the larger, so reading a tile twice,
or an old one after a new one, changes nothing. That is why the offsets need no transaction, only to be no further than
the values.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

import httpx

from foryou.contract.codec import Decoder, NotAvro
from foryou.features import cutoff, merge
from foryou.features.reading import State
from foryou.features.spec import TileKey, View
from foryou.service.metrics import Metrics
from foryou.store.rows import (
    Batch,
    Rows,
    cutoff_key,
    offset_key,
    split_tile_key,
    stored_offsets,
    tile_key,
    tile_prefix,
    topic_id_key,
    withdrawn_key,
)
from foryou.store.source import Fetched, Held, Position, Source, SourceUnavailableError

log = logging.getLogger(__name__)

BATCH_RECORDS = 1_000
CACHED_TILES = 300_000  # kept between batches, most of them packed: some 100 MB
RETRY_S = 1.0
LOOK_EVERY_S = 2.0
SWEEP_ROWS = 50  # rows looked at per idle moment, so that people who do not come back expire too
SWEEP_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading starts, and what was odd about what was stored."""

    positions: Mapping[Position, int]
    remarks: Sequence[str]


def where_to_start(stored: Mapping[Position, int], held: Mapping[Position, Held], other_topic: Iterable[str]) -> Start:
    """Every partition from its stored offset; from its beginning when none is stored, when the topic is another one
    than the offsets were stored for, or when the offset is not there. Reading again is always safe: merging is
    idempotent."""
    others = set(other_topic)
    positions: dict[Position, int] = {}
    remarks: list[str] = []
    for (topic, partition), range_ in held.items():
        offset = stored.get((topic, partition))
        if offset is None:
            offset = range_.first
        elif topic in others:
            remarks.append(f"{topic}[{partition}]: another topic than before under the same name; reading all of it")
            offset = range_.first
        elif offset > range_.end:
            remarks.append(
                f"{topic}[{partition}]: the store is at {offset}, the topic ends at {range_.end}; reading all of it"
            )
            offset = range_.first
        elif offset < range_.first:
            remarks.append(f"{topic}[{partition}]: {range_.first - offset} records expired before they were read")
            offset = range_.first
        positions[topic, partition] = offset
    return Start(positions, remarks)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile as read from its topic, and the key of the row that it belongs to."""

    view: View
    row_key: bytes
    key: TileKey
    state: State


@dataclass(frozen=True, slots=True)
class Marker:
    """A partition's tiles of the batch layer are whole up to `cutoff_ms`."""

    view: View
    partition: int
    partitions: int
    cutoff_ms: int


class RowCache:
    """The packed rows used last, decoded, up to a number of tiles in all. The writer's own: it alone changes rows."""

    def __init__(self, tiles: int = CACHED_TILES) -> None:
        self._limit, self._held = tiles, 0
        self._rows: OrderedDict[bytes, tuple[merge.Open, int]] = OrderedDict()

    def get(self, key: bytes) -> merge.Open | None:
        cached = self._rows.get(key)
        if cached is None:
            return None
        self._rows.move_to_end(key)
        return cached[0]

    def put(self, key: bytes, row: merge.Open) -> None:
        self.drop(key)
        self._rows[key] = (row, len(row))
        self._held += len(row)
        while self._held > self._limit and len(self._rows) > 1:
            _, (_, size) = self._rows.popitem(last=False)
            self._held -= size

    def drop(self, key: bytes) -> None:
        _, size = self._rows.pop(key, (None, 0))
        self._held -= size

    def clear(self) -> None:
        self._rows.clear()
        self._held = 0


class Writer:
    """Follows the tile topics of `views` into `rows`. `run` until `stop`; one thread, started by the store process."""

    def __init__(
        self,
        rows: Rows,
        source: Source,
        decode: Decoder,
        views: Mapping[str, View],
        metrics: Metrics,
        clock: Callable[[], int],
        *,
        batch_records: int = BATCH_RECORDS,
        cached_tiles: int = CACHED_TILES,
    ) -> None:
        self._rows, self._source, self._decode = rows, source, decode
        self._views = {view.topic: view for view in views.values()}
        self._metrics, self._clock = metrics, clock
        self._batch_records = batch_records
        self._cache = RowCache(cached_tiles)
        self._stopping = threading.Event()
        self._reading: dict[str, View] = {}
        self._ids: dict[str, str] = {}
        self._next_look = 0.0
        self._swept: bytes | None = None
        self._next_sweep = 0.0
        self.waiting_for: list[str] = ["the first look at Kafka"]

    # the loop

    def run(self) -> None:
        """Until `stop`. Waits, and says for what, while Kafka, its topics or the schema registry are not there."""
        while not self._stopping.is_set():
            try:
                self.start()
                while not self._stopping.is_set():
                    self.step()
            except (SourceUnavailableError, httpx.HTTPError) as error:
                self._wait(str(error) or repr(error))

    def stop(self) -> None:
        """Ends `run` after the batch at hand."""
        self._stopping.set()

    def start(self) -> None:
        """Looks which topics there are and reads each from where the store is. Raises SourceUnavailableError."""
        wanted = self._wanted()
        ids = self._source.describe(wanted)
        missing = [topic for topic in wanted if topic not in ids]
        if wanted and not ids:
            raise SourceUnavailableError(f"no tile topic yet ({', '.join(missing)}); the features job creates them")
        known = {topic: self._rows.get(topic_id_key(topic)) for topic in ids}
        other = [topic for topic, id_ in known.items() if id_ is not None and id_ != ids[topic].encode()]
        stored = {(topic, part): at for topic in ids for part, at in stored_offsets(self._rows, topic).items()}
        start = where_to_start(stored, self._source.held(list(ids)), other)
        for remark in start.remarks:
            log.warning(remark)
        with self._rows.exclusive:
            puts: dict[bytes, bytes | None] = {topic_id_key(topic): id_.encode() for topic, id_ in ids.items()}
            puts |= {offset_key(*position): b"%d" % at for position, at in start.positions.items()}
            self._rows.write(Batch(puts))
        self._cache.clear()
        self._source.start(start.positions)
        self._ids, self._reading = ids, {topic: self._views[topic] for topic in ids}
        self._next_look = time.monotonic() + LOOK_EVERY_S
        log.info("reading tiles", extra={"topics": sorted(ids), "not_there_yet": missing})
        self.waiting_for = [f"topic {topic}" for topic in missing]

    def step(self) -> int:
        """Fetches, merges and writes one batch; returns how many records were in it."""
        fetched = self._source.fetch(self._batch_records)
        if fetched:
            self.apply(fetched)
        elif time.monotonic() >= self._next_sweep:
            self.sweep(SWEEP_ROWS)
            self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        if time.monotonic() >= self._next_look:
            self._look()
        return len(fetched)

    # one batch

    def apply(self, fetched: Sequence[Fetched]) -> None:
        """Merges these records and writes the changed rows with the next offsets. Raises httpx.HTTPError when the
        registry cannot tell a schema; nothing is written then, and the same records are fetched again."""
        found = [tile for record in fetched if (tile := self._tile(record)) is not None]
        tiles = [tile for tile in found if isinstance(tile, Tile)]
        began = time.perf_counter()
        with self._rows.exclusive:
            # A view withdrawn since the fetch must not come back row by row.
            gone = {topic for topic, view in self._reading.items() if self._withdrawn(view)}
            changed = self._merge([tile for tile in tiles if tile.view.topic not in gone], self._clock())
            puts: dict[bytes, bytes | None] = {key: merge.encode(row) if row else None for key, row in changed.items()}
            puts |= self._cutoffs([marker for marker in found if isinstance(marker, Marker)])
            for record in fetched:  # in order, so that the last of each partition stays
                if record.topic not in gone:
                    puts[offset_key(record.topic, record.partition)] = b"%d" % (record.offset + 1)
            try:
                self._rows.write(Batch(puts))
            except BaseException:
                self._cache.clear()  # its rows have changes that are not on disk
                raise
        self._metrics.histogram("foryou_store_batch_seconds").observe(time.perf_counter() - began)

    def _cutoffs(self, markers: Sequence[Marker]) -> dict[bytes, bytes | None]:
        known: dict[bytes, cutoff.Cutoff] = {}
        for marker in markers:
            key = cutoff_key(marker.view.full_name)
            before = known.get(key) or cutoff.decode(self._rows.get(key))
            known[key] = before.marked(marker.partition, marker.partitions, marker.cutoff_ms)
        return {key: cutoff.encode(each) for key, each in known.items()}

    def _tile(self, record: Fetched) -> Tile | Marker | None:
        view = self._reading.get(record.topic)
        if view is None or record.value is None:  # a tombstone: the topic forgot the tile, the store expires it itself
            return None
        try:
            fields = self._decode(record.value)
            if cutoff.is_marker(fields):
                return Marker(view, record.partition, fields["n"], fields["tile_start"])
            row_key = tile_key(view.full_name, fields["app_id"], fields[view.entity])
            return Tile(view, row_key, *merge.tile(view, fields))
        except (NotAvro, KeyError, TypeError) as error:
            self._metrics.counter("foryou_store_undecodable_total", topic=record.topic).inc()
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.error("skipped a record that is no tile", extra=where | {"reason": str(error)})
            return None

    def _merge(self, tiles: Sequence[Tile], now: int) -> dict[bytes, merge.Open]:
        """Puts the tiles into their rows and returns the rows that changed."""
        rows = self._load({tile.row_key for tile in tiles})
        changed: dict[bytes, View] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for tile in tiles:
            name = tile.view.full_name
            counts["foryou_store_tiles_total", name] += 1
            if merge.put(rows[tile.row_key], tile.key, tile.state):
                changed[tile.row_key] = tile.view
                counts["foryou_store_applied_total", name] += 1
                if tile.state.last_ms is not None:
                    age_s = (now - tile.state.last_ms) / 1000
                    self._metrics.histogram("foryou_store_freshness_seconds", view=name).observe(age_s)
            else:
                counts["foryou_store_refused_total", name] += 1
        for row_key, view in changed.items():
            counts["foryou_store_expired_total", view.full_name] += merge.expire(view, rows[row_key], now)
        for row_key, row in rows.items():
            self._cache.put(row_key, row)
        for (metric, name), count in counts.items():
            self._metrics.counter(metric, view=name).inc(count)
        return {row_key: rows[row_key] for row_key in changed}

    def _load(self, wanted: Set[bytes]) -> dict[bytes, merge.Open]:
        rows = {key: row for key in wanted if (row := self._cache.get(key)) is not None}
        unread = [key for key in wanted if key not in rows]
        for key, packed in zip(unread, self._rows.get_many(unread), strict=True):
            rows[key] = {} if packed is None else merge.open_row(packed)
        return rows

    # between batches

    def sweep(self, limit: int) -> None:
        """Expires tiles of entities that get no new ones: the next `limit` rows in the order of their keys, round and
        round."""
        views = {view.full_name: view for view in self._views.values()}
        now = self._clock()
        puts: dict[bytes, bytes | None] = {}
        with self._rows.exclusive:
            looked = list(islice(self._rows.scan(tile_prefix(), self._swept), limit))
            self._swept = looked[-1][0] if len(looked) == limit else None
            for row_key, packed in looked:
                view = views.get(split_tile_key(row_key)[0])
                if view is None:
                    puts[row_key] = None  # its definition is gone
                    continue
                row = merge.open_row(packed)
                if dropped := merge.expire(view, row, now):
                    puts[row_key] = merge.encode(row) if row else None
                    self._cache.drop(row_key)
                    self._metrics.counter("foryou_store_expired_total", view=view.full_name).inc(dropped)
            if puts:
                self._rows.write(Batch(puts))

    def _look(self) -> None:
        """Every other second: how far behind, and whether topics came, went or were made anew since the start."""
        self._next_look = time.monotonic() + LOOK_EVERY_S
        for (topic, partition), behind in self._source.lag().items():
            self._metrics.gauge("foryou_store_lag_records", topic=topic, partition=str(partition)).set(behind)
        if self._source.describe(self._wanted()) != self._ids:
            self.start()

    def _wanted(self) -> list[str]:
        return [topic for topic, view in self._views.items() if not self._withdrawn(view)]

    def _withdrawn(self, view: View) -> bool:
        return self._rows.get(withdrawn_key(view.full_name)) is not None

    def _wait(self, reason: str) -> None:
        if [reason] != self.waiting_for:
            log.warning("waiting", extra={"waiting_for": reason})
        self.waiting_for = [reason]
        self._stopping.wait(RETRY_S)
