"""The batch layer's tiles equal the oracle, key by key: as the truth, and under the speed layer's own rules."""

import json
import os
import shutil

import pytest
from delta.tables import DeltaTable

from bench.night_in_duckdb import NightInDuckDB
from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.features import oracle
from foryou.features.compilers.spark import tile_select
from foryou.features.definitions import VIEWS
from foryou.features.merge import BATCH_SALT
from foryou.features.operations import Collect
from foryou.lake import bronze, days, silver
from foryou.lake import tiles as lake_tiles
from foryou.lake.clean import ENDLESS, Silver, clean, overwrite
from foryou.lake.partitions import create
from foryou.lake.tables import Lake
from foryou.lake.tiles import tiles

from .. import generated
from ..inbox import lay_down

SEED = int(os.environ.get("FORYOU_SEED", "7"))
COUNT = int(os.environ.get("FORYOU_NIGHT_EVENTS", "8000"))
NOW = 1_790_000_000_000
APP = "night"
BROKEN = [b"", b"not Avro at all", b"\x00\x00\x00\x00\x63abcdef"]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def lake(tmp_path_factory, spark):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    events = list(generated.actions(APP, SEED, COUNT, NOW, catalogue=500))
    half = len(events) // 2
    lay_down(lake, "a-catalogue", generated.videos(APP, 500, NOW - 10 * COUNT))
    lay_down(lake, "b-first-half", events[:half], BROKEN)
    refine(spark, lake)
    lay_down(lake, "c-second-half", events[half:])
    refine(spark, lake)
    return lake


@pytest.fixture(scope="module")
def arrived():
    videos = {video["video_id"]: video for video in generated.videos(APP, 500, NOW)}
    found = []
    for event in generated.actions(APP, SEED, COUNT, NOW, catalogue=500):
        video = videos.get(event["video_id"] or "", {})
        known = {name: video.get(name) for name in ("category", "creator_key")}
        found.append(event | known | {"video_duration_ms": video.get("duration_ms")})
    return found


def refine(spark, lake):
    bronze.from_inbox(spark, lake)
    silver.refine(spark, lake)


@pytest.mark.parametrize("rules", ["truth", "speed"])
def test_tiles_equal_the_oracle_key_by_key(spark, lake, arrived, rules):
    bound = ENDLESS if rules == "truth" else LATENESS_BOUND_MS
    expected = oracle.admit(arrived, bound)
    read = Silver.of(spark, lake, days.marked(lake.dirty))
    rows = clean(read if rules == "truth" else read.on_time(), bound).persist()
    assert rows.count() == len(expected.clean)
    for view in VIEWS.values():
        assert wrong_tiles(view, rows, expected) == []


def wrong_tiles(view, rows, expected):
    """Some tiles that Spark computes otherwise than the oracle: key, wanted, got."""
    want = {
        (app, entity, *key): flat(view, state)
        for (app, entity), tiles_ in oracle.tiles(view, expected.clean, salt_of=lambda *_: BATCH_SALT).items()
        for key, state in tiles_.items()
    }
    got = {}
    for row in tiles(view, rows).toArrow().to_pylist():
        facet = row[view.facet] if view.facet else None
        measures = tuple(taken(row[m.name], m.op) for m in view.measures)
        key = (row["app_id"], row[view.entity], facet, row["tile_ms"], row["tile_start"], row["salt"])
        got[key] = (row["n"], row["first_ms"], row["last_ms"], measures)
    # A tile that only withdrawals touched holds nothing; the batch layer has no such tile.
    want = {key: state for key, state in want.items() if state[0] > 0}
    wrong = [key for key in want.keys() | got.keys() if want.get(key) != got.get(key)]
    return [(key, want.get(key), got.get(key)) for key in wrong[:3]]


def test_one_operator_flipped_in_what_spark_is_told_is_found(spark, lake, arrived, monkeypatch):
    """The same of every operator, without Spark: tests/features/test_sql_on_another_engine.py."""
    told = tile_select(VIEWS["video_history_v1"])
    assert told.count(" >= ") == 1
    monkeypatch.setattr(lake_tiles, "tile_select", lambda view: told.replace(" >= ", " < "))
    rows = clean(Silver.of(spark, lake, days.marked(lake.dirty)))
    assert wrong_tiles(VIEWS["video_history_v1"], rows, oracle.admit(arrived, ENDLESS)) != []


def test_duckdb_finds_the_same_tiles_of_the_same_rows(spark, lake, tmp_path):
    """The peer of `make bench-night`."""
    wanted = days.marked(lake.dirty)
    overwrite(clean(Silver.of(spark, lake, wanted)), lake.clean, wanted)
    rows = spark.read.format("delta").load(lake.clean)
    for view in VIEWS.values():
        overwrite(tiles(view, rows), lake.tiles(view), wanted)
    peer = NightInDuckDB(lake, tmp_path)
    peer.make()
    for found in peer.compare():
        assert found.tiles > 100, found
        assert (found.only_in_spark, found.only_in_duckdb) == (0, 0), found


def test_a_play_over_midnight_takes_its_watch_time_from_the_day_before(spark, tmp_path):
    lake, midnight = Lake(tmp_path / "lake"), NOW // days.DAY_MS * days.DAY_MS
    evening, morning = days.day_of(midnight - 1), days.day_of(midnight)

    def of_the_play(event_type, at, watch_ms):
        blank = dict.fromkeys(generated.field_names("event"))
        names = {"event_id": f"e{at}", "app_id": APP, "user_key": "uk_owl", "video_id": "v1", "impression_id": "i1"}
        said = {"event_type": event_type, "event_time": at, "received_at": at, "watch_ms": watch_ms, "properties": {}}
        return blank | names | said

    def watched(day):
        view = VIEWS["user_history_v1"]
        rows = tiles(view, clean(Silver.of(spark, lake, [day]))).where(f"tile_start = {days.start_of(day)}").collect()
        return [row["watch_ms"] for row in rows]

    lay_down(lake, "a-evening", [of_the_play("play_progress", midnight - 5_000, 60_000)])
    refine(spark, lake)
    assert (days.marked(lake.dirty), watched(evening)) == ([evening], [60_000])
    days.unmark(lake.dirty, [evening])
    lay_down(lake, "b-stranger", [of_the_play("view_end", midnight + 1_000, 7_000) | {"user_key": "uk_lark"}])
    refine(spark, lake)
    assert days.marked(lake.dirty) == [morning]
    lay_down(lake, "c-morning", [of_the_play("view_end", midnight + 5_000, 70_000)])
    refine(spark, lake)
    assert days.marked(lake.dirty) == [evening, morning]
    assert (watched(evening), sorted(watched(morning))) == ([0], [7_000, 70_000])


def flat(view, state):
    measures = tuple(
        tuple(tuple(record) for record in value) if isinstance(m.op, Collect) else value
        for m, value in zip(view.measures, state.measures, strict=True)
    )
    return (state.n, state.first_ms, state.last_ms, measures)


def taken(value, op):
    return tuple(tuple(record.values()) for record in value) if isinstance(op, Collect) else value


def test_a_bad_record_is_set_aside_with_its_place_and_the_reason(spark, lake):
    found = spark.read.format("delta").load(lake.unreadable).orderBy("offset").collect()
    assert [row["reason"] for row in found] == [
        "not in the Confluent wire format",
        "not in the Confluent wire format",
        "schema unknown to the registry: 99",
    ]


def test_what_is_taken_twice_changes_nothing(spark, lake):
    before = fingerprint(spark, lake)
    for folder in lake.inbox.iterdir():
        (folder / ".taken").unlink()
    shutil.rmtree(lake.root / "checkpoints")  # as if killed before any of it was noted
    refine(spark, lake)
    assert fingerprint(spark, lake) == before


def fingerprint(spark, lake):
    tables = (lake.bronze, lake.events, lake.content, lake.account, lake.served)
    return json.dumps([spark.read.format("delta").load(path).count() for path in tables])


@pytest.mark.parametrize("cut_off", [(), ("_staged_commits/",), (".00000000000000000000.json.1.tmp",)])
def test_a_table_whose_making_was_cut_off_is_made(spark, tmp_path, cut_off):
    path, columns = tmp_path / "table", {"n": "BIGINT", "many": "ARRAY<STRING>", "day": "DATE"}
    (path / "_delta_log").mkdir(parents=True)  # killed before its first commit
    for name in cut_off:
        left = path / "_delta_log" / name
        left.mkdir() if name.endswith("/") else left.write_bytes(b"{")
    for _ in range(2):
        create(spark, str(path), columns)
        table = spark.read.format("delta").load(str(path))
        assert {field.name: field.dataType.simpleString().upper() for field in table.schema} == columns
        assert all(field.nullable for field in table.schema) and table.count() == 0
    assert DeltaTable.forPath(spark, str(path)).history().count() == 1
