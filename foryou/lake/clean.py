"""Clean rows of some days: silver's events, blended, with the last word on relations and plays (sql/clean.sql)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from foryou.contract.relations import RELATIONS, WATCH, WATCHING
from foryou.contract.schemas import field_names
from foryou.features.admission import read_views
from foryou.features.definitions import VIEWS
from foryou.features.operations import Collect
from foryou.lake.few import small
from foryou.lake.sql import FOLDER
from foryou.lake.tables import Lake

ENDLESS = 2**62
MOST_COLLECTED = min(m.op.keep for v in VIEWS.values() for m in v.measures if isinstance(m.op, Collect))
MOST_PER_HOUR = 2_000  # a person who swipes every 2 s makes 1,800 views an hour


@dataclass(frozen=True)
class Silver:
    """The tables that clean rows are made from: `events` of the days wanted, `words` on plays of those and the days
    beside them (within the bound no play is withdrawn from further away), the rest of all days."""

    events: DataFrame
    words: DataFrame
    content: DataFrame
    account: DataFrame

    @classmethod
    def of(cls, spark: SparkSession, lake: Lake, wanted: Sequence[date]) -> Silver:
        """From the lake."""
        read = spark.read.format("delta").load
        events = read(lake.events)
        plays = with_states(events.where(F.col("day").isin(*beside(wanted)))).where(F.col("relation") == WATCH)
        spoken = words(with_relations(events)).unionByName(words(plays))
        mine = with_states(events.where(F.col("day").isin(*wanted)))
        return cls(mine, spoken, read(lake.content), read(lake.account))

    def on_time(self) -> Silver:
        """Without what came too late for the speed layer."""
        return Silver(self.events.where("NOT late"), self.words.where("NOT late"), self.content, self.account)


def beside(wanted: Sequence[date]) -> list[date]:
    """The days wanted, and the one before and after each."""
    return sorted({day + timedelta(days=step) for day in wanted for step in (-1, 0, 1)})


def with_states(events: DataFrame) -> DataFrame:
    """with_relations, and events that say how long an impression was watched: `weight`, ms, makes the largest win."""
    watching = F.col("event_type").isin(*WATCHING)
    said = {"relation": F.lit(WATCH), "object": play(), "switches_on": F.lit(True), "weight": F.col("watch_ms")}
    known = with_relations(events)
    return known.withColumns({name: F.when(watching, new).otherwise(F.col(name)) for name, new in said.items()})


def play() -> Column:
    """What a heartbeat or view_end is part of: an impression of a video; null where it does not say."""
    return F.when(F.col("watch_ms").isNotNull(), F.concat("impression_id", F.lit("|"), "video_id"))


def with_relations(events: DataFrame) -> DataFrame:
    """Events with `relation`, `switches_on`, `object` and `weight` (0), by the contract's table of relations."""
    kind = F.col("event_type")

    def chosen(value: Column, when: Column, otherwise: Column | None) -> Column:
        return F.when(when, value) if otherwise is None else F.when(when, value).otherwise(otherwise)

    relation = object_ = None
    for each in RELATIONS:
        speaks = kind.isin(*(word for word in (each.on, each.off) if word))
        relation = chosen(F.lit(each.name), speaks, relation)
        object_ = chosen(F.col(each.object), speaks, object_)
    assert relation is not None and object_ is not None
    on = reduce(Column.__or__, [kind == each.on for each in RELATIONS])
    said = {"relation": relation, "object": object_, "switches_on": on, "weight": F.lit(0).cast("bigint")}
    return events.withColumns(said)


def words(events: DataFrame) -> DataFrame:
    """Those of the events that say something about a state."""
    columns = ["app_id", "user_key", "relation", "object", "switches_on", "weight", "time"]
    columns += ["event_id", "event_type", "received_at", "late"]
    spoken = events.where("relation IS NOT NULL AND object IS NOT NULL")
    return spoken.select(*columns, "topic", "source_partition", "source_offset")


def clean(silver: Silver, bound: int = ENDLESS) -> DataFrame:
    """The clean rows of silver's events: columns of clean.avsc but cancels_watch_ms, nth, late, flagged, day."""
    spark = silver.events.sparkSession
    for name in ("events", "words", "content", "account"):
        getattr(silver, name).createOrReplaceTempView(name)
    for name, query in clean_views(bound):
        made = spark.sql(query)
        if name == "video_versions":
            made = made.where("valid_from < valid_to")
        if name in ("numbered", "unusual"):
            made = small(made)
        made.createOrReplaceTempView(name)
    return spark.table("clean")


def clean_views(bound: int = ENDLESS) -> Iterator[tuple[str, str]]:
    """The views of sql/clean.sql with their parameters, in order."""
    own = [name for name in field_names("clean") if name in set(field_names("event"))]
    parameters: dict[str, int | list[str]] = {
        "event": [f"e.`{name}`" for name in own],
        "bound": bound,
        "least": -ENDLESS,
        "most": ENDLESS,
        "most_per_hour": MOST_PER_HOUR,
        "most_collected": MOST_COLLECTED,
    }
    return read_views(FOLDER / "clean.sql", parameters)


def overwrite(rows: DataFrame, path: str, wanted: Sequence[date], *, widen: bool = False) -> None:
    """Puts rows in place of those of the days, in one commit: a reader sees the day before or after, a repeat is the
    same. `widen`: a table that an older version made gets the columns that it lacks."""
    listed = ", ".join(f"'{day.isoformat()}'" for day in wanted)
    writer = rows.write.format("delta").mode("overwrite").partitionBy("day").option("mergeSchema", widen)
    writer.option("replaceWhere", f"day IN ({listed})").save(path)
