"""ClickHouse: rows/s from Arrow, events/s of the loader, latencies of rollup queries and raw scans.

python -m bench.analytics [--rows 10000000] [--events 300000] [--kafka 127.0.0.1:9092]

Embedded, in this process, in a folder that is removed afterwards. With --kafka the loader's records go through a topic
of that broker, made for this run and removed; without, they lie in memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from foryou.analytics import migrations
from foryou.analytics.embedded import Embedded
from foryou.analytics.loader.loader import EVENTS, Loader
from foryou.analytics.loader.progress import ProgressFile
from foryou.analytics.loader.source import KafkaSource, MemorySource, Source
from foryou.analytics.sql import statement
from foryou.contract.codec import Encoder
from foryou.contract.schemas import schema
from foryou.service.metrics import Metrics

MADE = (Path(__file__).parent / "sql" / "made_events.sql").read_text("utf-8")
START = 1_795_132_800_000  # 2026-11-20 00:00 UTC
BLOCK = 250_000
ARROW_ROWS_S, LOADED_S, ROLLUP_MS, SCAN_MS = 500_000, 20_000, 200.0, 1_500.0  # the budgets, at 10 million rows
COLUMNS = """event_id, app_id, event_type, user_key, session_id, seq, video_id, event_time, received_at, impression_id,
    watch_ms, region, properties, time, category, creator_key, video_duration_ms, user_region, source_partition,
    source_offset, origin, as_of"""
ROLLUP_QUERIES = (
    "SELECT * FROM daily_active_people",
    "SELECT * FROM top_categories ORDER BY views DESC LIMIT 10",
    "SELECT hour, sum(events), sum(watch_ms) FROM per_hour WHERE day = '2026-11-20' GROUP BY hour ORDER BY hour",
    "SELECT minute, sum(events) FROM minutes WHERE event_type = 'like' GROUP BY minute ORDER BY minute",
)
SCANS = (
    "SELECT event_type, count(), sum(watch_ms) FROM events GROUP BY event_type",
    "SELECT video_id, views, likes FROM video_performance WHERE day = '2026-11-20' ORDER BY views DESC LIMIT 10",
    "SELECT user_region, category, avg(watch_ms), uniq(user_key) FROM events WHERE event_type = 'like' GROUP BY 1, 2",
)

# Distinct people of each of 10,000 videos: a set of every pair, no scan; it has a bound of its own.
PEOPLE = "SELECT video_id, people FROM video_performance WHERE day = '2026-11-20' ORDER BY people DESC LIMIT 10"
PEOPLE_MS = 3_000.0


def main() -> int:
    """Prints a line of JSON per figure; 1 when one is worse than its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--kafka", help="a broker; without it the loader reads from memory")
    asked = parser.parse_args()
    with opened() as (engine, folder):
        good = [arrow(engine, asked.rows)]
        good += [rollups(engine, asked.rows)]
        good += [latency(engine, sql, ROLLUP_MS) for sql in ROLLUP_QUERIES]
        good += [latency(engine, sql, SCAN_MS) for sql in SCANS]
        good += [latency(engine, PEOPLE, PEOPLE_MS)]
        good += [loading(engine, folder, asked.events, asked.kafka)]
    return 0 if all(good) else 1


@contextmanager
def opened() -> Iterator[tuple[Embedded, Path]]:
    """A new database in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="foryou-analytics-"))
    engine = Embedded(folder / "clickhouse")
    try:
        migrations.apply(engine, migrations.load())
        yield engine, folder
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


def say(what: str, figure: float, unit: str, good: bool, **more: Any) -> bool:
    """One figure; returns whether it is within its budget."""
    print(json.dumps({"what": what, unit: round(figure, 1), "within": good, **more}), flush=True)
    return good


def made(engine: Embedded, format: str, rows: int, first: int, count: int, seed: int = 1) -> bytes:
    """Made-up events number `first` to `first + count` of a day that has `rows`."""
    asked = {"seed": seed, "start": START, "rows": rows, "first": first, "count": count}
    return engine.query(MADE, format=format, params={name: str(value) for name, value in asked.items()}).data


def arrow(engine: Embedded, rows: int) -> bool:
    """Rows/s into `events` from Arrow streams of 250,000; making them is not counted."""
    seconds = 0.0
    for first in range(0, rows, BLOCK):
        data = made(engine, "ArrowStream", rows, first, min(BLOCK, rows - first))
        begin = time.perf_counter()
        engine.insert(f"INSERT INTO events ({COLUMNS})", data, format="ArrowStream")
        seconds += time.perf_counter() - begin
    return say("events from Arrow, 22 columns", rows / seconds, "rows_per_s", rows / seconds >= ARROW_ROWS_S, rows=rows)


def rollups(engine: Embedded, rows: int) -> bool:
    """Minute, hour and day rollups of the whole day, as the night makes them."""
    begin = time.perf_counter()
    for table in ("minutes", "hours", "days"):
        settings = {"max_bytes_before_external_group_by": "300000000"}
        engine.query(statement(table), params={"target": table, "source": "events"}, settings=settings)
    return say("rollups of the day", rows / (time.perf_counter() - begin), "rows_per_s", True, rows=rows)


def latency(engine: Embedded, sql: str, budget_ms: float) -> bool:
    """The median of seven, after one that warms up."""
    timed = []
    for _ in range(8):
        begin = time.perf_counter()
        engine.query(sql, settings={"max_threads": "2"})
        timed.append((time.perf_counter() - begin) * 1_000)
    median = statistics.median(timed[1:])
    return say(" ".join(sql.split()), median, "median_ms", median <= budget_ms, worst_ms=round(max(timed), 1))


def loading(engine: Embedded, folder: Path, events: int, kafka: str | None) -> bool:
    """Events/s from a topic into `events` and its rollups, every one looked for among those already there."""
    topic = f"bench.{uuid.uuid4().hex}"
    with source_of(encoded(engine, events), topic, kafka) as source:
        feed = replace(EVENTS, topic=topic)
        file = ProgressFile(folder / "progress.json")
        loader = Loader(
            feed, source, engine, lambda _: schema("clean"), file, Metrics(), threading.RLock(), gather_s=0.5
        )
        begin = time.perf_counter()
        loader.start()
        loaded = 0
        while loaded < events:
            loaded += loader.step()
        seconds = time.perf_counter() - begin
    where = "Kafka" if kafka else "memory"
    added = int(engine.query("SELECT count() FROM events WHERE origin = 'speed'").text)
    assert added == events, f"{added} rows of {events} events"
    beside = int(engine.query("SELECT count() FROM events WHERE origin = 'batch'").text)
    rate = events / seconds
    return say(f"loader, from {where}", rate, "events_per_s", rate >= LOADED_S, events=events, beside_rows=beside)


def encoded(engine: Embedded, events: int) -> list[bytes]:
    """Made-up events in Kafka's wire format."""
    empty: dict[str, Any] = {field["name"]: None for field in schema("clean")["fields"]} | {"properties": {}}
    encode = Encoder(schema("clean"), 1)
    values: list[bytes] = []
    for first in range(0, events, BLOCK):
        data = made(engine, "JSONEachRow", events * 50, first, min(BLOCK, events - first), seed=2)
        for line in data.splitlines():
            row = json.loads(line)
            moment = START + int(row["source_offset"]) * 86_400_000 // (events * 50)
            row |= {"event_time": moment, "time": moment, "received_at": moment + 100}
            numbers = {name: int(row[name]) for name in ("seq", "watch_ms", "video_duration_ms", "source_offset")}
            values.append(encode({**empty, **{k: v for k, v in row.items() if k in empty}, **numbers}))
    return values


@contextmanager
def source_of(values: list[bytes], topic: str, kafka: str | None) -> Iterator[Source]:
    """The values in a topic of four partitions."""
    if kafka is None:
        memory = MemorySource(4, topic)
        for nth, value in enumerate(values):
            memory.append(value, nth % 4)
        yield memory
        return
    admin = AdminClient({"bootstrap.servers": kafka})
    _all(admin.create_topics([NewTopic(topic, 4, 1)]))
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": len(values) + 1})
    for nth, value in enumerate(values):
        producer.produce(topic, value, partition=nth % 4)
    producer.flush()
    source = KafkaSource(kafka, topic)
    try:
        yield source
    finally:
        source.close()
        _all(admin.delete_topics([topic]))


def _all(futures: dict[str, Any]) -> None:
    for future in futures.values():
        future.result()


if __name__ == "__main__":
    raise SystemExit(main())
