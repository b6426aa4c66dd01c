"""Trends by Spark are the trends by loops, whatever lies beside them in the lake."""

import random
from datetime import date, timedelta

import pytest
from pyspark.sql import functions as f
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DateType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from foryou.lake.partitions import replace_day
from foryou.lake.trends import COLUMNS, Rules, confidence_of, growth_of, trends

from .. import naive_trends

DAY = date(2026, 11, 20)
DAY_MS = 86_400_000
_WORDS = (
    "app_id",
    "event_id",
    "event_type",
    "user_key",
    "video_id",
    "category",
    "creator_key",
    "region",
    "user_region",
)
_NUMBERS = ("watch_ms", "duration_ms", "video_duration_ms", "time")
CLEAN = StructType(
    [StructField(name, StringType()) for name in _WORDS]
    + [StructField(name, LongType()) for name in _NUMBERS]
    + [StructField("relation_on", IntegerType()), StructField("flagged", BooleanType()), StructField("day", DateType())]
)
CONTENT = StructType(
    [StructField(name, StringType()) for name in ("app_id", "event_id", "video_id")]
    + [StructField(name, LongType()) for name in ("event_time", "received_at")]
    + [StructField("hashtags", ArrayType(StringType()))]
)


def event(number, rng, **fields):
    time = fields.pop("time", None)
    if time is None:
        time = ((DAY - date(1970, 1, 1)).days + 2) * DAY_MS - int(rng.random() * 18 * DAY_MS) - 1
    video = fields.pop("video_id", f"v{min(int(rng.expovariate(0.15)), 24)}")
    row = {
        "app_id": "demo" if rng.random() < 0.9 else "other",
        "event_id": f"e{number}",
        "event_type": rng.choice(["play_start", "view_end", "like", "share", "comment", "impression"]),
        "user_key": f"u{rng.randrange(40)}",
        "video_id": video if rng.random() < 0.97 else None,
        "category": f"c{int(video[1:]) % 4}" if rng.random() < 0.9 else None,
        "creator_key": f"k{int(video[1:]) % 7}",
        "region": rng.choice(["DE", "BR", None]),
        "user_region": rng.choice(["DE", "JP", None]),
        "watch_ms": rng.randrange(0, 16_000),
        "duration_ms": rng.choice([None, 12_000]),
        "video_duration_ms": 12_000,
        "time": time,
        "relation_on": rng.choice([0, 1]),
        "flagged": rng.random() < 0.05,
    }
    return row | fields | {"day": date(1970, 1, 1) + timedelta(days=time // DAY_MS)}


def some_day(seed, events=4_000):
    rng = random.Random(seed)
    clean = [event(number, rng) for number in range(events)]
    content = [
        {
            "app_id": app, "event_id": f"{app}{number}", "video_id": f"v{rng.randrange(25)}",
            "event_time": rng.randrange(1_000), "received_at": rng.randrange(1_000),
            "hashtags": rng.choice([None, [], ["fun"], ["fun", "cats", "fun"], ["cats", "rain"]]),
        }
        for app in ("demo", "other")
        for number in range(60)
    ]  # fmt: skip
    return clean, content


def found(spark, clean, content, day=DAY):
    rows = trends(
        spark.createDataFrame([tuple(row[name] for name in CLEAN.names) for row in clean], CLEAN),
        spark.createDataFrame([tuple(row[name] for name in CONTENT.names) for row in content], CONTENT),
        day,
    )
    order = ("app_id", "period", "dimension", "key", "kind", "rank")
    return sorted((row.asDict() for row in rows.collect()), key=lambda row: [row[name] for name in order])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_trends_of_a_day_are_those_of_the_loops(spark, seed):
    clean, content = some_day(seed)
    expected = naive_trends.trends(clean, content, DAY, Rules.load())
    assert {row["kind"] for row in expected} == {"popular", "rising"}
    assert found(spark, clean, content) == expected


def test_ten_thousand_flagged_events_move_nothing(spark):
    clean, content = some_day(3, events=1_500)
    rng = random.Random(4)
    bots = [
        event(f"bot{number}", rng, video_id="v24", user_key=f"bot{number % 500}", event_type="play_start", flagged=True)
        for number in range(10_000)
    ]
    assert found(spark, clean + bots, content) == found(spark, clean, content)


def test_three_people_after_one_are_no_rise_and_thirty_after_ten_are(spark):
    counts = [(3, 1), (3, 0), (30, 10), (5, 0), (10, 30)]
    frame = spark.createDataFrame(counts, "people long, before long").withColumn("share", f.lit(0.5))
    sure = confidence_of(f.col("people"), f.col("before"), f.col("share"))
    growth = growth_of(f.col("people"), f.col("before"), f.col("share"), 1.645)
    judged = [(row.c >= 0.95, row.g > 1) for row in frame.select(sure.alias("c"), growth.alias("g")).collect()]
    assert [rising for rising, _ in judged] == [False, False, True, True, False]
    assert [grows for _, grows in judged[2:]] == [True, True, False]


def test_when_the_whole_app_doubles_nothing_rises(spark):
    rng, rows = random.Random(5), []
    end = ((DAY - date(1970, 1, 1)).days + 1) * DAY_MS
    for video in range(5):
        for who in range(60):
            day = 0 if who < 40 else 1
            time = end - day * DAY_MS - 1_000 - who
            fields = {"app_id": "demo", "video_id": f"v{video}", "flagged": False, "time": time}
            rows.append(event(len(rows), rng, user_key=f"u{who}", event_type="play_start", **fields))
    assert [row for row in found(spark, rows, []) if (row["period"], row["kind"]) == ("day", "rising")] == []


def test_an_app_that_nobody_used_for_days_has_trends_of_the_week_alone(spark):
    rng, time = random.Random(7), ((DAY - date(1970, 1, 1)).days - 3) * DAY_MS
    rows = [
        event(
            who, rng, app_id="demo", user_key=f"u{who}", video_id="v1", time=time, flagged=False, event_type="comment"
        )
        for who in range(5)
    ]
    assert {(row["period"], row["kind"]) for row in found(spark, rows, [])} == {("week", "popular")}


def test_a_day_written_twice_is_one_day_and_leaves_the_others(spark, tmp_path):
    clean, content = some_day(6, events=800)
    frames = (
        spark.createDataFrame([tuple(row[name] for name in CLEAN.names) for row in clean], CLEAN),
        spark.createDataFrame([tuple(row[name] for name in CONTENT.names) for row in content], CONTENT),
    )
    path, before = str(tmp_path / "trends"), DAY - timedelta(days=1)

    def rows():
        table = spark.read.format("delta").load(path)
        assert tuple(table.columns) == COLUMNS
        return sorted(tuple(row) for row in table.collect())

    for day in (before, DAY):
        replace_day(trends(*frames, day), path, day)
    once = rows()
    replace_day(trends(*frames, DAY), path, DAY)
    assert rows() == once
    assert {row[-1] for row in once} == {before, DAY}
