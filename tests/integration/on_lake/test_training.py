"""Training rows: as served, outcomes by impression, a gap is never a negative, nothing of the future."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from foryou.contract.schemas import schema
from foryou.features import point_in_time
from foryou.features.compilers.spark import spark_type
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY
from foryou.lake.delta_files import live_files, read
from foryou.lake.job import parse
from foryou.lake.session import submit_settings
from foryou.lake.tables import Lake
from foryou.lake.training import NOT_LOGGED, labels_of, with_past, with_the_day_before
from jobs.batch import training

from ...lake.delta_tables import lay_tiles, tile
from ..conftest import QUICK

ROOT = Path(__file__).parents[3]
NOON = 1_795_176_000_000
TODAY = date(2026, 11, 20)
pytestmark = pytest.mark.timeout(600)


def item(name, position):
    return {
        "impression_id": name,
        "video_id": f"v-{name}",
        "position": position,
        "creator_key": "uk_c",
        "category": "cats",
        "source": "trending",
        "score": 0.5,
        "features": {"plays_1h": 3.0},
    }


def page(*names, user="uk_ann", at=NOON, request="r1"):
    return {
        "request_id": request,
        "app_id": "demo",
        "user_key": user,
        "served_at": at,
        "features_at": at,
        "fallback": None,
        "model_version": "w1",
        "variant": None,
        "user_numbers": {"likes_7d": 2.0},
        "user_words": {"categories": ["cats"]},
        "user_series": {},
        "context": {},
        "items": [item(name, position) for position, name in enumerate(names)],
    }


def event(seq, event_type, impression=None, user="uk_ann", request="r1", at=None, **more):
    at = NOON + 1_000 * (seq + 1) if at is None else at
    made = {"event_id": f"{user}-{seq}-{event_type}", "app_id": "demo", "event_type": event_type, "user_key": user}
    made |= {"session_id": f"s-{user}", "seq": seq, "event_time": at, "received_at": at, "time": at}
    if impression:
        made |= {"impression_id": impression, "request_id": request, "video_id": f"v-{impression}"}
    if event_type in ("like", "share", "not_interested", "follow"):
        made |= {"relation": event_type, "relation_on": 1}
    made |= {"source_partition": 0, "source_offset": seq, "properties": {}, "flagged": False, "late": False}
    return made | more


def frames(spark, pages, events):
    return frame(spark, "served", pages, "served_at"), frame(spark, "clean", events, "time")


def frame(spark, name, rows, time):
    fields = [f"`{f['name']}` {spark_type(f['type'])}" for f in schema(name)["fields"]]
    extra = ["flagged BOOLEAN", "late BOOLEAN", "day DATE"] if name == "clean" else ["day DATE"]
    for row in rows:
        row["day"] = datetime.fromtimestamp(row[time] / 1_000, UTC).date()
    names = [field["name"] for field in schema(name)["fields"]] + [each.split()[0] for each in extra]
    return spark.createDataFrame([[row.get(each) for each in names] for row in rows], ", ".join(fields + extra))


def rows_of(spark, pages, events):
    made = labels_of(*frames(spark, pages, events)).collect()
    return {row["impression_id"]: row.asDict(recursive=True) for row in made}


WHOLE = [
    event(0, "app_open"),
    event(1, "impression", "a"),
    event(2, "play_start", "a", duration_ms=10_000),
    event(3, "view_end", "a", watch_ms=10_000, duration_ms=10_000),
    event(4, "like", "a"),
    event(5, "impression", "b"),
    event(6, "view_end", "b", watch_ms=900, duration_ms=10_000),
    event(7, "app_close"),
]
LABELS = ("outcome", "watch_ms", "finished", "skipped", "liked", "shared", "not_interested")


def labels(row):
    return tuple(row[name] for name in LABELS)


def test_labels_come_by_impression_and_rows_carry_what_was_served(spark):
    rows = rows_of(spark, [page("a", "b", "c")], WHOLE)
    assert labels(rows["a"]) == ("seen", 10_000, 1, 0, 1, 0, 0)
    assert labels(rows["b"]) == ("seen", 900, 0, 1, 0, 0, 0)
    assert labels(rows["c"]) == ("unseen", None, None, None, None, None, None)
    assert rows["a"]["item_features"] == {"plays_1h": 3.0}
    assert (rows["a"]["user_numbers"], rows["a"]["user_words"]) == ({"likes_7d": 2.0}, {"categories": ["cats"]})
    assert (rows["a"]["position"], rows["b"]["model_version"], rows["a"]["day"]) == (0, "w1", TODAY)


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_gap_is_unknown_and_never_a_negative(spark, lost):
    whole = rows_of(spark, [page("a", "b", "c")], WHOLE)
    rows = rows_of(spark, [page("a", "b", "c")], [each for each in WHOLE if each["seq"] != lost])
    for name, row in rows.items():
        for label in ("finished", "liked", "shared", "not_interested"):
            if row[label] == 0:
                assert whole[name][label] == 0, (name, label)
        if row["watch_ms"] is not None:
            assert row["watch_ms"] == whole[name]["watch_ms"]
    if lost == 4:  # the like is lost: whether there was one is not known
        assert labels(rows["a"]) == ("partly", 10_000, 1, 0, None, None, None)
    if lost == 7:  # whether the session went on is not known
        assert labels(rows["b"])[:5] == ("partly", 900, 0, 1, None)


def test_a_page_of_which_nothing_came_back_and_events_without_numbers_are_unknown(spark):
    unnumbered = [each | {"seq": None} for each in WHOLE]
    assert rows_of(spark, [page("a")], [])["a"]["outcome"] == "unknown"
    row = rows_of(spark, [page("a", "c")], unnumbered)
    assert labels(row["a"]) == ("partly", 10_000, 1, 0, 1, None, None)
    assert row["c"]["outcome"] == "unknown"


def test_what_comes_after_the_label_window_and_what_was_taken_back_are_no_likes(spark):
    later = [each for each in WHOLE if each["seq"] != 4]
    late_like = [*later, event(4, "like", "a", at=NOON + DAY)]
    assert rows_of(spark, [page("a")], late_like)["a"]["liked"] == 0
    unliked = [*later, event(4, "like", "a", relation_on=0)]
    assert rows_of(spark, [page("a")], unliked)["a"]["liked"] == 0


def test_flagged_people_and_other_peoples_events_are_out(spark):
    pages = [page("a"), page("a2", user="uk_bot", request="r2")]
    bot = [event(number, "impression", "a2", user="uk_bot", flagged=True) for number in range(3)]
    stranger = [event(0, "like", "a", user="uk_eve")]
    rows = rows_of(
        spark, pages, [*[e for e in WHOLE if e["seq"] != 4], event(4, "play_progress", "a"), *bot, *stranger]
    )
    assert list(rows) == ["a"]
    assert rows["a"]["liked"] == 0


def history(lake):
    """Day tiles: two likes yesterday; today's, which holds the future."""
    for name in NOT_LOGGED:
        view = VIEWS[name]
        size = view.tiles[-1].ms
        entity = "uk_ann" if view.entity == "user_key" else "v-a"
        numbers = [m.name for m in view.measures if m.op.zero == 0]
        start = NOON // DAY * DAY
        lay_tiles(
            lake,
            view,
            [
                tile(view, entity, size, start - DAY, **dict.fromkeys(numbers, 2)),
                tile(view, entity, size, start, **dict.fromkeys(numbers, 1_000)),
            ],
        )


def past_of(spark, lake):
    row = with_past(labels_of(*frames(spark, [page("a")], WHOLE)), lake).collect()[0].asDict()
    return {name: value for name, value in row.items() if "__" in name}


def test_features_that_were_not_logged_are_as_of_serving_and_a_leak_shows_without_the_guard(
    spark, tmp_path, monkeypatch
):
    lake = Lake(tmp_path)
    history(lake)
    guarded = past_of(spark, lake)
    numbers = [value for value in guarded.values() if isinstance(value, int)]
    assert guarded
    assert numbers
    assert max(numbers) == 2
    monkeypatch.setattr(point_in_time, "ended", lambda key, moment: True)
    leaking = past_of(spark, lake)
    assert max(value for value in leaking.values() if isinstance(value, int)) == 1_002


def test_the_job_writes_the_day_and_the_day_before_and_the_same_rows_again(spark, tmp_path):
    lake = Lake(tmp_path / "lake")
    served, clean = frames(spark, [page("a", "b", "c"), page("y", at=NOON - DAY, request="r0")], WHOLE)
    served.write.format("delta").partitionBy("day").save(lake.served)
    clean.write.format("delta").partitionBy("day").save(lake.clean)
    history(lake)
    asked = ["--home", str(tmp_path), "--date", TODAY.isoformat()]
    submit = [str(Path(sys.executable).parent / "spark-submit"), *submit_settings(tmp_path, "2g")]
    command = [*submit, "jobs/batch/training.py"]
    done = subprocess.run([*command, *asked], cwd=ROOT, capture_output=True, text=True, env=_environment())
    assert done.returncode == 0, done.stderr[-3_000:]
    said = [json.loads(done.stdout.strip().splitlines()[-1]), hash_of(spark, lake)]
    said += [training.work(spark, parse(asked, "again")), hash_of(spark, lake)]
    assert said[0] == said[2]
    assert said[0] == {"rows": 4, "days": 2, "outcomes": {"seen": 2, "unknown": 1, "unseen": 1}}
    assert said[1] == said[3]
    assert with_the_day_before([TODAY]) == [date(2026, 11, 19), TODAY]


def hash_of(spark, lake):
    rows = spark.read.format("delta").load(lake.gold("training"))
    plain = [F.col(f.name) if f.dataType.typeName() != "map" else F.map_entries(f.name) for f in rows.schema]
    return rows.select(F.xxhash64(*plain).alias("h")).selectExpr("SUM(h % 1000000007)", "COUNT(*)").collect()[0]


def _environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "JDK_JAVA_OPTIONS": QUICK}


def test_the_reader_without_spark_sees_what_spark_sees_checkpoint_and_overwrites_included(spark, tmp_path):
    table = str(tmp_path / "t")
    for number in range(12):  # the eleventh commit writes a checkpoint
        rows = spark.range(number, number + 3).selectExpr("id AS x", f"DATE'2026-11-{10 + number % 3}' AS day")
        writer = rows.write.format("delta").partitionBy("day").mode("overwrite" if number % 5 == 4 else "append")
        (writer.option("replaceWhere", f"day = DATE'2026-11-{10 + number % 3}'") if number % 5 == 4 else writer).save(
            table
        )
    expected = sorted(row["x"] for row in spark.read.format("delta").load(table).collect())
    assert list(Path(table, "_delta_log").glob("*.checkpoint*.parquet"))
    assert sorted(read(Path(table), ["x"])["x"].to_pylist()) == expected
    assert all(isinstance(file.path, Path) and file.path.exists() for file in live_files(Path(table)))
    assert isinstance(read(Path(table)), pa.Table)
