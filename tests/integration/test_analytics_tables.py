"""What lies in ClickHouse: loaded from a topic exactly once, whatever kills it; replaced by the night.

The engine is the embedded one, the topic is in memory; a kill is an exception before or after a statement, and a new
loader that finds what the old one left.
"""

import itertools
import random
import threading
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foryou.analytics.loader.loader import EVENTS, SERVED, Loader
from foryou.analytics.loader.progress import ProgressFile
from foryou.analytics.loader.source import MemorySource
from foryou.analytics.nightly import Nightly, NothingToReplaceError, hashes, row_hash
from foryou.contract.codec import Encoder
from foryou.contract.schemas import schema
from foryou.service.metrics import Metrics
from tests.integration.clickhouse_tables import empty

NOON = 1_795_176_000_000  # 2026-11-20 12:00 UTC
DAY = date(2026, 11, 20)
HOUR = 3_600_000
MADE = itertools.count()
LOADED = ("events", "per_minute", "per_hour", "per_day")


class Killed(BaseException):
    """The end of the process."""


class Mortal:
    """An engine that dies before (or after) its n-th statement; `dies_at` counts statements from 0."""

    def __init__(self, engine, dies_at=None, after=False):
        self.engine, self.dies_at, self.after, self.count = engine, dies_at, after, 0

    def query(self, *args, **named):
        return self._mortal(self.engine.query, *args, **named)

    def insert(self, *args, **named):
        return self._mortal(self.engine.insert, *args, **named)

    def close(self):
        """Lives on: it is everybody's."""

    def _mortal(self, call, *args, **named):
        now = self.count == self.dies_at
        self.count += 1
        if now and not self.after:
            raise Killed
        answer = call(*args, **named)
        if now:
            raise Killed
        return answer


def event(number, *, time=None, received=None, **more):
    """A clean event; ids, people, categories and types follow from the number."""
    chance = random.Random(number)
    row = dict.fromkeys(field["name"] for field in schema("clean")["fields"])
    happened = NOON + number * 700 if time is None else time
    row |= {
        "event_id": f"00000000-0000-7000-8000-{number:012}",
        "app_id": "demo",
        "event_type": chance.choice(["impression", "play_start", "view_end", "like"]),
        "user_key": f"person{chance.randrange(40)}",
        "video_id": f"video{chance.randrange(10)}",
        "event_time": happened,
        "received_at": happened + 100 if received is None else received,
        "time": happened,
        "watch_ms": chance.randrange(20_000),
        "video_duration_ms": 15_000,
        "category": chance.choice(["music", "sport", None]),
        "region": chance.choice(["DE", "FR", None]),
        "properties": {"a": "b"},
        "source_partition": number % 4,
        "source_offset": number,
    }
    return row | more


def feed(number, places=3):
    item = {"creator_key": "c", "category": None, "source": "trending", "features": {"x": 1.0}}
    return {
        "request_id": f"request{number}",
        "app_id": "demo",
        "user_key": "person1",
        "served_at": NOON + number,
        "features_at": NOON + number,
        "model_version": "m",
        "items": [
            item | {"impression_id": f"i{number}.{p}", "video_id": f"v{p}", "position": p, "score": p / 2}
            for p in range(places)
        ],
    }


ENCODE = Encoder(schema("clean"), 7)
ENCODE_FEED = Encoder(schema("served"), 7)


def topic_of(rows, partitions=4):
    source = MemorySource(partitions, f"topic{next(MADE)}")  # the tables remember tokens: every topic is another
    for row in rows:
        source.append(ENCODE(row), row["source_partition"] % partitions)
    return source


def loader_of(engine, source, folder, of=EVENTS, metrics=None, turn=None, **more):
    file = ProgressFile(folder / f"{of.topic}.json")
    name = "clean" if of is EVENTS else "served"
    return Loader(
        of,
        source,
        engine,
        lambda _: schema(name),
        file,
        metrics or Metrics(),
        turn or threading.RLock(),
        gather_s=0,
        **more,
    )


def load(engine, source, folder, **more):
    """A new process: starts, loads all there is."""
    loader = loader_of(engine, source, folder, **more)
    loader.start()
    while loader.step():
        pass
    return loader


def numbers(engine, sql):
    return [tuple(map(int, line.split("\t"))) for line in engine.query(sql).text.splitlines()]


# the loader


def test_every_event_is_loaded_with_its_rollups(engine, tmp_path):
    rows = [event(number) for number in range(3_000)]
    load(engine, topic_of(rows), tmp_path, batch_records=1_000)
    ended = [row for row in rows if row["event_type"] == "view_end"]
    watched = sum(row["watch_ms"] for row in ended)
    people = len({row["user_key"] for row in rows})
    finished = sum(row["watch_ms"] * 100 >= row["video_duration_ms"] * 95 for row in ended)
    skipped = sum(row["watch_ms"] < 2_000 for row in ended)
    assert numbers(engine, "SELECT count(), uniqExact(event_id) FROM events") == [(3_000, 3_000)]
    for view in ("per_minute", "per_hour", "per_day"):
        sql = f"SELECT sum(events), sum(watch_ms), sum(finishes), sum(skips) FROM {view}"
        assert numbers(engine, sql) == [(3_000, watched, finished, skipped)]
    assert numbers(engine, "SELECT people, events FROM daily_active_people") == [(people, 3_000)]
    assert numbers(engine, "SELECT sum(views), sum(watch_ms), sum(finishes) FROM video_performance") == [
        (len(ended), watched, finished)
    ]
    assert numbers(engine, "SELECT days_later, cohort, people FROM retention") == [(0, people, people)]


def test_times_are_whole_and_what_is_null_stays_null(engine, tmp_path):
    load(engine, topic_of([event(1, category=None, sent_at=NOON + 5)]), tmp_path)
    sql = "SELECT time, sent_at, category, published_at, properties, origin FROM events FORMAT JSONCompactEachRow"
    said = '["2026-11-20 12:00:00.700", "2026-11-20 12:00:00.005", null, null, {"a":"b"}, "speed"]\n'
    assert engine.query(sql).text.replace(",", ", ").replace(",  ", ", ") == said


def test_copies_count_once_in_one_range_and_over_ranges(engine, tmp_path):
    rows = [event(number) for number in range(500)]
    source = topic_of([*rows, *rows[:100]])
    metrics = Metrics()
    load(engine, source, tmp_path, metrics=metrics)
    for row in [*rows[:50], event(500), event(7, time=NOON + 9 * HOUR)]:
        source.append(ENCODE(row), 1)
    load(engine, source, tmp_path, metrics=metrics)
    assert numbers(engine, "SELECT count(), uniqExact(event_id) FROM events") == [(501, 501)]
    assert numbers(engine, "SELECT sum(events) FROM per_minute") == [(501,)]
    assert metrics.value("foryou_analytics_dropped_total", table="events") == 151


def test_a_topic_made_anew_adds_nothing_that_is_there(engine, tmp_path):
    rows = [event(number) for number in range(300)]
    load(engine, topic_of(rows), tmp_path)
    again = topic_of([*rows, event(300)])
    again.topic_id = "another"
    load(engine, again, tmp_path)
    assert numbers(engine, "SELECT count() FROM events") == [(301,)]


def test_a_record_that_cannot_be_read_is_counted_and_does_not_stop_the_rest(engine, tmp_path):
    source = topic_of([event(number) for number in range(10)])
    source.append(b"not avro", 0)
    source.append(ENCODE(event(10))[:-20], 1)
    source.append(ENCODE(event(11)), 1)
    metrics = Metrics()
    load(engine, source, tmp_path, metrics=metrics)
    assert numbers(engine, "SELECT count() FROM events") == [(11,)]
    assert metrics.value("foryou_analytics_undecodable_total", topic="events.clean.v1") == 2


def test_feeds_are_loaded_place_by_place(engine, tmp_path):
    source = MemorySource(topic_id=f"topic{next(MADE)}")
    for number in [0, 1, 1, 2]:
        source.append(ENCODE_FEED(feed(number)))
    load(engine, source, tmp_path, of=SERVED)
    source.append(ENCODE_FEED(feed(0)))
    load(engine, source, tmp_path, of=SERVED)
    assert numbers(engine, "SELECT count(), uniqExact(request_id), sum(position), max(position) FROM served") == [
        (9, 3, 9, 2)
    ]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_statement_and_started_again_every_event_counts_once(engine, tmp_path, after):
    source = topic_of(
        [event(number) for number in range(120)] + [event(number, time=NOON + 20 * HOUR) for number in range(120, 200)]
    )
    whole = Mortal(engine)
    load(whole, source, tmp_path / "whole", batch_records=100)
    expected = hashes(engine, LOADED, DAY), hashes(engine, LOADED, date(2026, 11, 21))
    assert numbers(engine, "SELECT count() FROM events") == [(200,)]
    for dies_at in range(whole.count):
        empty(engine)
        source.topic_id = f"attempt{dies_at}{after}"  # the tables remember tokens; a real range has its own
        folder = tmp_path / str(dies_at)
        with pytest.raises(Killed):
            load(Mortal(engine, dies_at, after), source, folder, batch_records=100)
        load(engine, source, folder, batch_records=100)
        assert (hashes(engine, LOADED, DAY), hashes(engine, LOADED, date(2026, 11, 21))) == expected, dies_at


# the night


def publish(folder, table, rows, day=DAY, files=2):
    """Rows as the lake lays them down: times are whole milliseconds, several files."""
    where = folder / table / f"day={day}"
    where.mkdir(parents=True, exist_ok=True)
    for part in range(files):
        pq.write_table(pa.Table.from_pylist(rows[part::files], published_schema(table)), where / f"part-{part}.parquet")


def published_schema(table):
    if table == "served":
        features = pa.map_(pa.string(), pa.float64())
        item = {
            "impression_id": pa.string(),
            "video_id": pa.string(),
            "position": pa.int32(),
            "creator_key": pa.string(),
        }
        item |= {"category": pa.string(), "source": pa.string(), "score": pa.float64(), "features": features}
        words = {name: pa.string() for name in ("request_id", "app_id", "user_key", "fallback", "model_version")}
        times = {name: pa.int64() for name in ("served_at", "features_at")}
        return pa.schema(words | times | {"items": pa.list_(pa.struct(item))})
    if table != "events":
        return None
    kinds = {"string": pa.string(), "long": pa.int64(), "int": pa.int32()}
    fields = [
        (field["name"], kinds[kind] if isinstance(kind := _kind(field), str) else pa.map_(pa.string(), pa.string()))
        for field in schema("clean")["fields"]
    ]
    return pa.schema(
        [*fields, ("nth", pa.int64()), ("late", pa.bool_()), ("flagged", pa.bool_()), ("day", pa.date32())]
    )


def _kind(field):
    return field["type"][1] if isinstance(field["type"], list) else field["type"]


def batch_row(number, **more):
    return event(number) | {"nth": 1, "late": False, "flagged": number % 50 == 0, "day": DAY} | more


@pytest.fixture
def replaced(engine, tmp_path):
    """Speed has events 0-199 (one of them wrong); batch has 0-249, late ones too, of a day that it knows to 13:00."""
    speed = [event(number) for number in range(200)] + [event(9_999, time=NOON, event_type="share")]
    beyond = [event(number, time=NOON + 2 * HOUR + number) for number in range(1_000, 1_010)]
    source = topic_of([*speed, *beyond])
    load(engine, source, tmp_path / "loader")
    publish(tmp_path / "publish", "events", [batch_row(number) for number in range(250)])
    return source


CUT_OFF = NOON + HOUR
NIGHTLY = (*LOADED, "trends", "served", "parity")


def nightly_of(engine, tmp_path, turn=None):
    clock = lambda: datetime(2026, 11, 21, 3, tzinfo=UTC)  # noqa: E731
    return Nightly(engine, tmp_path / "publish", turn or threading.RLock(), clock=clock)


def test_batch_takes_the_place_of_speed_up_to_the_cut_off(engine, tmp_path, replaced):
    assert nightly_of(engine, tmp_path).replace(DAY, CUT_OFF) == {"events": 260}
    sql = "SELECT origin, count(), countIf(flagged) FROM events GROUP BY origin ORDER BY origin"
    assert engine.query(sql).text == "batch\t250\t5\nspeed\t10\t0\n"
    for view in ("per_minute", "per_hour", "per_day"):
        sql = f"SELECT origin, sum(events) FROM {view} GROUP BY origin ORDER BY origin"
        assert engine.query(sql).text == "batch\t250\nspeed\t10\n"


def test_after_it_the_loader_adds_only_what_was_received_later(engine, tmp_path, replaced):
    nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
    for row in (
        event(5),  # batch has it
        event(7_000, time=NOON, received=CUT_OFF - 1),  # batch knows better
        event(7_001, time=NOON, received=CUT_OFF),
        event(7_002, time=NOON - 24 * HOUR, received=NOON),  # of a day that was not replaced
    ):
        replaced.append(ENCODE(row), 0)
    load(engine, replaced, tmp_path / "loader")
    assert numbers(engine, "SELECT count() FROM events WHERE day = '2026-11-20'") == [(261,)]
    assert numbers(engine, "SELECT count() FROM events WHERE day = '2026-11-19'") == [(1,)]
    assert nightly_of(engine, tmp_path).replace(DAY, CUT_OFF) == {"events": 261}


def test_replaced_twice_the_rows_are_the_same(engine, tmp_path, replaced):
    publish_small_tables(tmp_path / "publish")
    nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
    once = hashes(engine, NIGHTLY, DAY)
    nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
    assert hashes(engine, NIGHTLY, DAY) == once
    assert {name: rows for name, (rows, _) in once.items() if name in ("events", "trends", "served")} == {
        "events": 260,
        "trends": 1,
        "served": 6,
    }


def publish_small_tables(folder):
    trend = {"app_id": "demo", "period": "day", "dimension": "video", "key": "", "subject": "v1", "kind": "rising"}
    publish(
        folder,
        "trends",
        [trend | {"rank": 1, "score": 2.5, "events": 9, "people": 3, "before": 1, "confidence": 0.9}],
        files=1,
    )
    publish(folder, "served", [feed(number) for number in range(2)], files=1)
    tile = {"view": "user_activity_v1", "app_id": "demo", "entity": "person1", "facet": None, "tile_ms": 60_000}
    tile |= {"tile_start": NOON, "causes": ["late", "lag"], "speed": None, "batch": '{"n":1}'}
    publish(folder, "parity", [tile, tile | {"entity": "person2", "causes": ["code"]}], files=1)


def test_the_view_of_trends_has_all_that_the_night_says_of_one(engine, tmp_path):
    publish_small_tables(tmp_path / "publish")
    nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
    assert numbers(engine, "SELECT people, before FROM top_trends") == [(3, 1)]
    columns = "SELECT name FROM system.columns WHERE database = 'foryou' AND table = {t:String}"
    of_view, of_table = (
        set(engine.query(columns, params={"t": name}).text.split()) for name in ("top_trends", "trends")
    )
    assert of_table - of_view == {"origin", "as_of"}


def test_a_tile_that_differs_is_found_by_its_cause(engine, tmp_path):
    publish_small_tables(tmp_path / "publish")
    assert nightly_of(engine, tmp_path).replace(DAY, CUT_OFF) == {"served": 6, "trends": 1, "parity": 2}
    sql = "SELECT entity, tile_start, causes, speed FROM parity WHERE has(causes, 'lag') FORMAT JSONCompactEachRow"
    assert engine.query(sql).text == '["person1", "2026-11-20 12:00:00.000", ["late","lag"], null]\n'


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_statement_and_run_again_the_rows_are_the_same(engine, tmp_path, replaced, after):
    publish_small_tables(tmp_path / "publish")
    mortal = Mortal(engine)
    nightly_of(mortal, tmp_path).replace(DAY, CUT_OFF)
    expected = hashes(engine, NIGHTLY, DAY)
    for dies_at in range(0, mortal.count, 2 if after else 1):
        with pytest.raises(Killed):
            nightly_of(Mortal(engine, dies_at, after), tmp_path).replace(DAY, CUT_OFF)
        nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
        assert hashes(engine, NIGHTLY, DAY) == expected, dies_at


def test_a_row_that_differs_has_another_hash(engine, tmp_path):
    load(engine, topic_of([event(number) for number in range(50)]), tmp_path / "one")
    one = hashes(engine, LOADED, DAY)
    empty(engine)
    other = topic_of([event(number, watch_ms=1 if number == 2 else event(number)["watch_ms"]) for number in range(50)])
    other.topic_id = "other"
    load(engine, other, tmp_path / "other")
    assert row_hash(engine, "events", DAY)[0] == one["events"][0]
    assert row_hash(engine, "events", DAY)[1] != one["events"][1]


def test_a_day_that_was_not_published_is_an_error(engine, tmp_path):
    with pytest.raises(NothingToReplaceError):
        nightly_of(engine, tmp_path).replace(DAY, CUT_OFF)
