"""The loader of one topic: plan, stage, add, done; and from the beginning after a kill."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import httpx

from foryou.analytics.consent import Hiding
from foryou.analytics.engine import Engine
from foryou.analytics.errors import QueryError
from foryou.analytics.loader.container import pack, readable
from foryou.analytics.loader.progress import Plan, Progress, ProgressFile, start
from foryou.analytics.loader.source import Fetched, Source, SourceUnavailableError
from foryou.analytics.sql import statement
from foryou.contract.codec import Decoder
from foryou.contract.schemas import AvroSchema
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

BATCH_RECORDS = 50_000
GATHER_S = 3.0  # how long a batch is gathered: what analysts see is so old
LOOK_EVERY_S = 10.0
RETRY_S = (1.0, 30.0)
_READ = {"input_format_avro_allow_missing_fields": "1", "input_format_skip_unknown_fields": "1"}
# One block, however the engine would like to cut it: an insert's token then names the same rows in every attempt.
_ONE_BLOCK = {
    "max_threads": "1",
    "max_insert_threads": "1",
    "min_insert_block_size_rows": "1048576",
    "min_insert_block_size_bytes": "0",
    "max_partitions_per_insert_block": "1000",
    "insert_deduplicate": "1",
}


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic and where it goes: records as they are into `read`, the rows that they add into `planned` (by
    `<plan>.sql`), and from there by each of `adds` (a file, and its parameters) into the tables."""

    topic: str
    table: str
    read: str
    planned: str
    plan: str
    adds: tuple[tuple[str, dict[str, str]], ...]


def _rollup(table: str) -> tuple[str, dict[str, str]]:
    return table, {"target": table, "source": "events_planned"}


EVENTS = Feed(
    "events.clean.v1",
    "events",
    "events_read",
    "events_planned",
    "events_plan",
    (("events_add", {}), _rollup("minutes"), _rollup("hours"), _rollup("days")),
)
SERVED = Feed("feed.served.v1", "served", "served_read", "served_planned", "served_plan", (("served_add", {}),))


class Loader:
    """Follows one topic. `turn` is held while a range is under way: the nightly replacement takes it, too."""

    def __init__(
        self,
        feed: Feed,
        source: Source,
        engine: Engine,
        schema: Callable[[int], AvroSchema],
        progress: ProgressFile,
        metrics: Metrics,
        turn: threading.RLock,
        *,
        hiding: Hiding | None = None,
        batch_records: int = BATCH_RECORDS,
        gather_s: float = GATHER_S,
    ) -> None:
        self._feed, self._source, self._engine = feed, source, engine
        self._schema, self._file, self._metrics, self._turn = cache(schema), progress, metrics, turn
        self._hiding = hiding
        self._batch_records, self._gather_s = batch_records, gather_s
        self._stopping = threading.Event()
        self._progress = progress.load()
        self._next_look = 0.0
        self.waiting_for: list[str] = [f"the first look at {feed.topic}"]

    # the loop

    def run(self) -> None:
        """Until `stop`. Waits, ever longer, and says for what, while something is not there."""
        wait_s = RETRY_S[0]
        while not self._stopping.is_set():
            try:
                self.start()
                wait_s = RETRY_S[0]
                while not self._stopping.is_set():
                    self.step()
            except (SourceUnavailableError, QueryError, httpx.HTTPError) as error:
                told = str(error) or repr(error)
                if self.waiting_for != [told]:
                    log.warning("loading waits", extra={"topic": self._feed.topic, "reason": told[:500]})
                self.waiting_for = [told]
                self._stopping.wait(wait_s)
                wait_s = min(wait_s * 2, RETRY_S[1])

    def stop(self) -> None:
        """Ends `run` after the range at hand."""
        self._stopping.set()

    def start(self) -> None:
        """Looks at the topic, finishes what was under way, and reads on from there."""
        self._refuse_when_consents_are_unknown()
        topic_id, held = self._source.describe()
        self.finish()
        self._progress, remarks = start(self._progress, topic_id, held)
        for remark in remarks:
            log.warning("the topic is not as it was left", extra={"topic": self._feed.topic, "remark": remark})
        if self._progress.plan is not None:
            self._load(self._source.fetch_range(self._progress.plan.ranges), self._progress.plan)
        self._file.save(self._progress)
        self._source.start(self._progress.next)
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self.waiting_for = []

    def step(self) -> int:
        """Loads one range; returns how many records were read. Raises SourceUnavailableError and QueryError."""
        self._refuse_when_consents_are_unknown()
        records = self._source.fetch(self._batch_records, self._gather_s)
        if records:
            self._load(records, _plan(self._progress, records))
        if time.monotonic() > self._next_look:
            self._look()
        return len(records)

    def finish(self) -> None:
        """Adds what is staged, if something is. The nightly replacement calls it first, in its turn. Raises
        SourceUnavailableError while it is not known who consents, and QueryError."""
        with self._turn:
            if self._progress.plan is not None and self._progress.plan.staged:
                self._add(self._progress.plan)

    def _refuse_when_consents_are_unknown(self) -> None:
        lacks = self._hiding.withheld.waiting_for() if self._hiding is not None else None
        if lacks is not None:
            raise SourceUnavailableError(lacks)

    def _look(self) -> None:
        topic_id, held = self._source.describe()
        self._next_look = time.monotonic() + LOOK_EVERY_S
        if topic_id != self._progress.topic_id or set(held) != set(self._progress.next):
            raise SourceUnavailableError(f"{self._feed.topic} is not what it was")
        behind = sum(max(0, span.end - self._progress.next[part]) for part, span in held.items())
        self._metrics.gauge("foryou_analytics_lag_records", topic=self._feed.topic).set(behind)

    # one range

    def _load(self, records: list[Fetched], plan: Plan) -> None:
        begin = time.perf_counter()
        with self._turn:
            self._save(replace(self._progress, plan=plan))
            read = self._read(records)
            added = self._stage()
            staged = replace(plan, staged=True)
            self._save(replace(self._progress, plan=staged))
            self._add(staged)
        topic, table = self._feed.topic, self._feed.table
        self._metrics.counter("foryou_analytics_read_total", topic=topic).inc(len(records))
        self._metrics.counter("foryou_analytics_loaded_total", table=table).inc(added)
        self._metrics.counter("foryou_analytics_dropped_total", table=table).inc(max(0, read - added))
        self._metrics.counter("foryou_analytics_undecodable_total", topic=topic).inc(len(records) - read)
        self._metrics.histogram("foryou_analytics_load_seconds", topic=topic).observe(time.perf_counter() - begin)

    def _read(self, records: list[Fetched]) -> int:
        """The records into `read`, as they are; returns how many could be."""
        try:
            return self._insert(records)
        except QueryError as error:
            if error.name in ("NETWORK_ERROR", "MEMORY_LIMIT_EXCEEDED"):
                raise
            log.warning("a batch cannot be read whole", extra={"topic": self._feed.topic, "reason": str(error)[:500]})
            return self._insert(list(readable(records, Decoder(self._schema))))

    def _insert(self, records: list[Fetched]) -> int:
        self._truncate(self._feed.read)
        packed = pack(records, self._schema)
        for file in packed.files:
            self._engine.insert(f"INSERT INTO {self._feed.read}", file, format="Avro", settings=_READ)
        return len(records) - packed.unreadable

    def _stage(self) -> int:
        """What the records add, into `planned`; returns how many rows."""
        self._truncate(self._feed.planned)
        settings = {name: _ONE_BLOCK[name] for name in _ONE_BLOCK if name != "max_threads"}
        self._engine.query(statement(self._feed.plan), settings=settings)
        self._truncate(self._feed.read)
        return int(self._engine.query("SELECT count() FROM {t:Identifier}", params={"t": self._feed.planned}).text)

    def _add(self, plan: Plan) -> None:
        """`planned` into the tables, each insert at most once per plan. Who is hidden is asked last: a plan may have
        waited for long."""
        self._refuse_when_consents_are_unknown()
        if self._hiding is not None:
            self._hiding.in_staged(self._feed.table, self._feed.planned)
        for name, params in self._feed.adds:
            settings = {**_ONE_BLOCK, "insert_deduplication_token": f"{self._feed.topic}|{plan.token}"}
            self._engine.query(statement(name), params=params, settings=settings)
        self._save(self._progress.done())

    def _truncate(self, table: str) -> None:
        self._engine.query("TRUNCATE TABLE {t:Identifier}", params={"t": table})

    def _save(self, progress: Progress) -> None:
        self._file.save(progress)
        self._progress = progress


def _plan(progress: Progress, records: list[Fetched]) -> Plan:
    """From where each partition was left to behind its last record."""
    ends: dict[int, int] = {}
    for record in records:
        ends[record.partition] = max(ends.get(record.partition, 0), record.offset + 1)
    return Plan(progress.topic_id, {part: (progress.next[part], end) for part, end in ends.items()})
