"""Trends of a day and of the week that ends with it: what is popular, and what is rising with which confidence.

One row per (app, period, dimension, key, kind, rank). `key` '' ranks the dimension's own values (for `video` the videos
of the whole app, for `hashtag` the hashtags, …); any other key ranks the videos in it. Formulas and numbers:
docs/trends-and-embeddings.md and trends.toml.

Everything is summed as whole numbers (millionths of a weight, people, events), so the order of adding cannot be seen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from pathlib import Path

import msgspec
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as f

from foryou.features.operations import DAY, HOUR
from foryou.lake.signal_strengths import CONDITIONS

PATH = Path(__file__).with_suffix(".toml")
DAYS_BACK = 14  # a week and the week before it
DIMENSIONS = ("video", "region", "category", "hashtag", "creator")
COLUMNS = (
    "app_id", "period", "dimension", "key", "subject", "kind", "rank",
    "score", "events", "people", "before", "confidence", "day",
)  # fmt: skip
MEASURES = ("micro", "events", "people", "before")
_MICRO = 1_000_000
_DIGITS = 9
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Rising:
    confidence: float
    z: float


@dataclass(frozen=True)
class Least:
    people: int


@dataclass(frozen=True)
class Rules:
    """The numbers of trends.toml."""

    weights: Mapping[str, float]
    half_life_hours: Mapping[str, float]
    rising: Rising
    most: Mapping[str, int]
    least: Least

    @classmethod
    def load(cls, path: Path = PATH) -> Rules:
        """Raises msgspec.ValidationError, naming what is missing or of the wrong type."""
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), cls)


@dataclass(frozen=True)
class Period:
    """A span that ends with a day. Times in UTC ms, `before_ms` is where the span before it starts."""

    name: str
    before_ms: int
    start_ms: int
    end_ms: int

    @classmethod
    def ending(cls, name: str, day: date) -> Period:
        """The `day` itself, or the `week` of seven days that ends with it."""
        end = ((day - _EPOCH).days + 1) * DAY
        length = {"day": DAY, "week": 7 * DAY}[name]
        return cls(name, end - 2 * length, end - length, end)


def first_day(day: date) -> date:
    """The earliest day of `silver/clean` that the trends of `day` read."""
    return day - timedelta(days=DAYS_BACK - 1)


def trends(clean: DataFrame, content: DataFrame, day: date, rules: Rules | None = None) -> DataFrame:
    """Rows of `gold/trends` for one day.

    Args:
        clean: rows of `silver/clean`; days outside of the two weeks and flagged rows are left out here.
        content: rows of `silver/content`, whose newest hashtags per video count.
        day: the last day of both periods.
        rules: the numbers; trends.toml if not given.
    """
    rules = rules or Rules.load()
    spans = [Period.ending(name, day) for name in ("day", "week")]
    described = _described(_engagements(clean, day, rules), content)
    rows = _ranked(_by_period(_counted(_people(described, spans, rules)), spans), rules)
    return rows.withColumn("day", f.lit(day)).select(*COLUMNS)


def _engagements(clean: DataFrame, day: date, rules: Rules) -> DataFrame:
    """Events of people on videos: when, where, and what each adds before it decays."""
    named = {name: f.expr(CONDITIONS[name]) for name in rules.weights}
    weight = sum((f.when(said, rules.weights[name]).otherwise(0.0) for name, said in named.items()), f.lit(0.0))
    within = f.col("day").between(f.lit(first_day(day)), f.lit(day))
    return (
        clean.where(within & ~f.col("flagged") & f.col("video_id").isNotNull())
        .withColumn("weight", weight)
        .where("weight > 0")
        .select(
            "app_id", "video_id", "user_key", "time", "event_id", "weight", "category", "creator_key",
            f.coalesce("user_region", "region").alias("region"),
        )
    )  # fmt: skip


def _described(engagements: DataFrame, content: DataFrame) -> DataFrame:
    """Engagements with what their video is: the newest word of the two weeks on category and creator, and hashtags."""
    newest = Window.partitionBy("app_id", "video_id").orderBy(f.desc("time"), f.desc("event_id"))
    tags = (
        content.where("hashtags IS NOT NULL")
        .select("app_id", "video_id", "hashtags", f.least("event_time", "received_at").alias("time"), "event_id")
        .withColumn("turn", f.row_number().over(newest))
        .where("turn = 1")
        .select("app_id", "video_id", f.array_sort(f.array_distinct("hashtags")).alias("hashtags"))
    )
    stamp = f.struct("time", "event_id")
    videos = engagements.groupBy("app_id", "video_id").agg(
        f.max_by(f.col("category"), f.when(f.col("category").isNotNull(), stamp)).alias("category"),
        f.max_by(f.col("creator_key"), f.when(f.col("creator_key").isNotNull(), stamp)).alias("creator"),
    )
    described = videos.join(tags, ["app_id", "video_id"], "left")
    return engagements.drop("category", "creator_key").join(described, ["app_id", "video_id"])


def _people(described: DataFrame, spans: list[Period], rules: Rules) -> DataFrame:
    """One row per person, video and region: all that follows counts these. Columns per period: `<measure>_<period>`."""
    video = ("app_id", "video_id", "region", "category", "creator", "hashtags")
    return described.groupBy(*video, "user_key").agg(*(column for span in spans for column in _measures(span, rules)))


def _measures(span: Period, rules: Rules) -> list[Column]:
    time, zero = f.col("time"), f.lit(0).cast("bigint")
    now = (time >= span.start_ms) & (time < span.end_ms)
    half_life = f.lit(rules.half_life_hours[span.name] * HOUR)
    decayed = f.col("weight") * f.pow(f.lit(0.5), (f.lit(span.end_ms) - time) / half_life)
    measures = {
        "micro": f.sum(f.when(now, f.round(decayed * _MICRO).cast("bigint")).otherwise(zero)),
        "events": f.sum(f.when(now, 1).otherwise(zero)),
        "people": f.max(now.cast("int")),
        "before": f.max(((time >= span.before_ms) & (time < span.start_ms)).cast("int")),
    }
    return [measure.alias(f"{name}_{span.name}") for name, measure in measures.items()]


def _counted(people: DataFrame) -> DataFrame:
    """The measures of every list: first per person, who counts once, then over the people."""
    measures = [name for name in people.columns if name.rpartition("_")[0] in MEASURES]
    listed = people.select("app_id", "user_key", *measures, f.explode(_places()).alias("place"))
    listed = listed.select("app_id", "user_key", *measures, "place.*")
    once = {name: (f.sum if name.startswith(("micro", "events")) else f.max)(name).alias(name) for name in measures}
    persons = listed.groupBy("app_id", "dimension", "key", "subject", "user_key").agg(*once.values())
    return persons.groupBy("app_id", "dimension", "key", "subject").agg(*(f.sum(m).alias(m) for m in measures))


def _places() -> Column:
    """The lists that a row belongs to: the app's videos; each dimension's values; the videos of its value."""

    def place(dimension: str, key: Column, subject: Column) -> Column:
        named = (f.lit(dimension).alias("dimension"), key.alias("key"), subject.alias("subject"))
        return f.struct(*named)

    everywhere, video = f.lit(""), f.col("video_id")
    places = [f.array(place("video", everywhere, video))]
    for dimension in ("region", "category", "creator"):
        value = f.col(dimension)
        both = f.array(place(dimension, everywhere, value), place(dimension, value, video))
        places.append(f.when(value.isNotNull(), both).otherwise(f.slice(both, 1, 0)))
    tags = f.coalesce("hashtags", f.array().cast("array<string>"))
    places.append(f.transform(tags, lambda tag: place("hashtag", everywhere, tag)))
    places.append(f.transform(tags, lambda tag: place("hashtag", tag, video)))
    return f.concat(*places)


def _by_period(counted: DataFrame, spans: list[Period]) -> DataFrame:
    """A row per period, and what part of the app's people-and-videos of both its spans falls into the later one: when
    everything grows, nothing is a trend."""
    columns = [
        f.struct(f.lit(span.name).alias("period"), *(f.col(f"{name}_{span.name}").alias(name) for name in MEASURES))
        for span in spans
    ]
    rows = counted.select("app_id", "dimension", "key", "subject", f.explode(f.array(*columns)).alias("span"))
    rows = rows.select("app_id", "dimension", "key", "subject", "span.*")
    app = Window.partitionBy("app_id", "period")
    videos = f.col("dimension") == "video"
    now, before = (f.sum(f.when(videos, f.col(name))).over(app) for name in ("people", "before"))
    return rows.withColumn("share", f.try_divide(now, now + before))


def confidence_of(people: Column, before: Column, share: Column) -> Column:
    """Φ(z) that more than `share` of all these people came in this period; the binomial's normal, with continuity.

    Φ by 1 / (1 + exp(−1.5976 z − 0.07056 z³)), which is off by less than 0.0002 (Bowling et al., 2009). 0 where there
    is nothing before to compare with.
    """
    both = people + before
    deviation = f.sqrt(both * share * (1 - share))
    z = f.greatest(f.lit(-8.0), f.least(f.lit(8.0), f.try_divide(people - both * share - 0.5, deviation)))
    phi = 1 / (1 + f.exp(-(1.5976 * z + 0.07056 * z * z * z)))
    return f.round(f.coalesce(f.when(share < 1, phi), f.lit(0.0)), _DIGITS)


def growth_of(people: Column, before: Column, share: Column, z: float) -> Column:
    """Lower bound (Wilson's) of how many times faster than the app it grows; 0 where nothing can be said."""
    both = people + before
    rate = people / both
    middle = rate + z * z / (2 * both)
    spread = z * f.sqrt(rate * (1 - rate) / both + z * z / (4 * both * both))
    least = f.greatest(f.lit(0.0), (middle - spread) / (1 + z * z / both))
    return f.round(f.coalesce(f.try_divide(least * (1 - share), (1 - least) * share), f.lit(0.0)), _DIGITS)


def _ranked(counted: DataFrame, rules: Rules) -> DataFrame:
    people, before, share = f.col("people"), f.col("before"), f.col("share")
    # Nobody at all is no row, whatever the least is.
    judged = counted.where((people > 0) & (people >= rules.least.people)).withColumns(
        {
            "confidence": confidence_of(people, before, share),
            "popular": f.col("micro") / _MICRO,
            "growth": growth_of(people, before, share, rules.rising.z),
        }
    )
    popular = judged.withColumns({"kind": f.lit("popular"), "score": f.round("popular", _DIGITS)})
    rising = judged.where(f.col("confidence") >= rules.rising.confidence).withColumns(
        {"kind": f.lit("rising"), "score": f.col("growth")}
    )
    best = Window.partitionBy("app_id", "period", "dimension", "key", "kind").orderBy(
        f.desc("score"), f.desc("people"), "subject"
    )
    most = reduce(
        lambda found, name: f.when(f.col("dimension") == name, rules.most[name]).otherwise(found),
        DIMENSIONS,
        f.lit(0),
    )
    return popular.unionByName(rising).withColumn("rank", f.row_number().over(best)).where(f.col("rank") <= most)
