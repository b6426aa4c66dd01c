"""What the two layers said, as parity compares it: inputs as tables, so that no Kafka is needed to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from foryou.contract.events import TYPES, Lane
from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.features.admission import read_views
from foryou.features.operations import Collect, Count, Latest, Toggle, Total, Watched
from foryou.features.predicate import columns as columns_of
from foryou.features.spec import View
from foryou.lake.clean import with_states, words
from foryou.lake.days import DAY_MS, span, start_of
from foryou.lake.publish import IN_FLIGHT_MS
from foryou.lake.sql import FOLDER
from foryou.lake.tables import Lake

BLENDED = (
    "category", "creator_key", "video_duration_ms", "video_language", "video_region", "published_at",
    "user_region", "user_language",
)  # fmt: skip
_KEPT = ("once", "counted", "pairs", "owned", "evidence")  # read more than once


@dataclass(frozen=True)
class Speed:
    """What the speed layer said.

    clean: the columns of clean.avsc, and judged_at and judged_offset, time (UTC ms) and offset of the verdict itself;
    apart: verdict ('duplicate' | 'late'), event_type, source_partition, source_offset. Both at least from the first day
    on. tiles: by View.full_name, whole (foryou.lake.parity.newest).
    """

    clean: DataFrame
    apart: DataFrame
    tiles: Mapping[str, DataFrame]


@dataclass(frozen=True)
class Batch:
    """What the lake holds: silver's events and words (foryou.lake.clean.words) from the first day on, the catalogue,
    clean rows of the days, how far bronze is (topic, partition, offset), tiles of the days by View.full_name."""

    events: DataFrame
    words: DataFrame
    content: DataFrame
    clean: DataFrame
    taken: DataFrame
    tiles: Mapping[str, DataFrame]

    @classmethod
    def of(cls, spark: SparkSession, lake: Lake, views: Sequence[View], wanted: Sequence[date]) -> Batch:
        """From the lake."""
        read, since = spark.read.format("delta").load, F.col("day") >= F.lit(wanted[0])
        events = read(lake.events).where(since)
        bronze = read(lake.bronze).where((F.col("origin") == "kafka") & since)
        of_days = F.col("day").isin(*wanted)
        return cls(
            events=events,
            words=words(with_states(events)),
            content=read(lake.content),
            clean=read(lake.clean).where(of_days),
            taken=bronze.groupBy("topic", "partition").agg(F.max("offset").alias("offset")),
            tiles={view.full_name: read(lake.tiles(view)).where(of_days) for view in views},
        )


def lived(spark: SparkSession, lake: Lake, asked: Sequence[date]) -> list[date]:
    """From the first to the last of the days on which anything came by the live door: of days that were only imported
    the speed layer knows nothing."""
    events = (
        spark.read.format("delta").load(lake.events).where(F.col("day").isin(*asked) & (F.col("origin") == "kafka"))
    )
    found = sorted(row["day"] for row in events.select("day").distinct().collect())
    return span(found[0], found[-1]) if found else []


def only_imported(events: DataFrame, wanted: Sequence[date]) -> list[date]:
    """Of the days, in order, those that the speed layer never saw: they hold history, and all that came of them by the
    live door (if anything) was late. `events`: silver's."""
    live = (F.col("origin") == "kafka") & ~F.col("late")
    told = events.where(F.col("day").isin(*wanted)).groupBy("day")
    found = told.agg(F.max(live).alias("live"), F.max(F.col("origin") != "kafka").alias("history")).collect()
    return sorted(row["day"] for row in found if row["history"] and not row["live"])


def lane_of_type() -> Column:
    """The lane of an event that the speed layer judges."""
    context = [name for name, kind in TYPES.items() if kind.lane == Lane.CONTEXT]
    return F.when(F.col("event_type").isin(*context), Lane.CONTEXT.value).otherwise(Lane.ACTION.value)


@dataclass(frozen=True)
class Evidence:
    """Events that the layers count in another way: app_id, event_id, own and word, the reasons (sql/parity.sql); the
    speed layer's verdicts that count in the days, and the minutes whose lists nobody can tell."""

    events: DataFrame
    counted: DataFrame
    crowded: DataFrame


def evidence(speed: Speed, batch: Batch, views: Sequence[View], wanted: Sequence[date]) -> Evidence:
    """Works out the evidence over the days `wanted` (in order, without a gap)."""
    spark, lane = batch.clean.sparkSession, lane_of_type().alias("lane")
    tables = {
        "truth": batch.clean.select("*", lane),
        "verdicts": speed.clean.select("*", lane),
        "apart": speed.apart.select("*", lane),
        "silver_events": batch.events,
        "words": batch.words,
        "content": batch.content,
        "taken": batch.taken,
    }
    for name, table in tables.items():
        table.createOrReplaceTempView(name)
    made: dict[str, DataFrame] = {}
    for name, query in read_views(FOLDER / "parity.sql", _parameters(views, wanted)):
        # Not persist(): the plans behind all this are too deep for a task to carry along.
        made[name] = spark.sql(query).localCheckpoint() if name in _KEPT else spark.sql(query)
        made[name].createOrReplaceTempView(name)
    return Evidence(made["evidence"], made["counted"], made["crowded"])


def _parameters(views: Sequence[View], wanted: Sequence[date]) -> dict[str, int | list[str]]:
    used = sorted(set().union(*(_columns(view) for view in views)) & set(BLENDED)) or ["category"]
    facets = sorted({view.facet for view in views if view.facet}) or ["category"]
    return {
        "from": start_of(wanted[0]),
        "to": start_of(wanted[-1]) + DAY_MS - 1,
        "bound": LATENESS_BOUND_MS,
        "in_flight": IN_FLIGHT_MS,
        "keep": min((m.op.keep for view in views for m in view.measures if isinstance(m.op, Collect)), default=2**31),
        "used": used,
        "used_t": [f"t.{name}" for name in used],
        "facets": facets,
        "facets_t": [f"t.{name}" for name in facets],
    }


def _columns(view: View) -> set[str]:
    """The columns that a view reads."""
    read = columns_of(view.where) | ({view.facet} if view.facet else set())
    for measure in view.measures:
        match measure.op:
            case Count(where) | Latest(where):
                read |= columns_of(where)
            case Total(column, where):
                read |= columns_of(column) | columns_of(where)
            case Collect() as op:
                read |= {*op.fields, *columns_of(op.where)}.union(*(columns_of(flag) for _, flag in op.flags))
            case Toggle() | Watched():
                pass
    return read
