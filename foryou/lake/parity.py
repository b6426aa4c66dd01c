"""Speed against batch, tile by tile, and why they differ.

The batch layer's tiles are the truth. What the speed layer should say follows from its own verdicts (events.clean): a
tile that says something else has another cause than its events. Where verdicts and truth differ, an event has its
reason with evidence (foryou.lake.layers, sql/parity.sql), and a tile has the reasons of those of its events that add
another part to it. docs/parity-and-ledger.md says what each cause means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.spark import EPOCH, SPARK, spark_type
from foryou.features.compilers.sql import Engine, tile_query, to_sql
from foryou.features.operations import Collect, Latest, Toggle, Watched
from foryou.features.spec import View
from foryou.lake.days import DAY_MS, start_of
from foryou.lake.layers import Batch, Evidence, Speed, evidence, only_imported
from foryou.lake.parity_causes import CAUSES
from foryou.lake.tiles import contributions

_BY_EVENT = replace(SPARK, salt=lambda text, _: text)  # salted by the event's id: what each event adds to a tile


@dataclass(frozen=True)
class Moment:
    """When the topics were read (UTC ms): `now` tells what is too old to be there; what was judged from `settled` on
    may not be in the tiles yet."""

    now: int
    settled: int


@dataclass(frozen=True)
class Parity:
    """differences: view, app_id, entity, facet, tile_ms, tile_start, causes, speed and batch (JSON, null where there is
    no tile), day. compared: tiles in either layer, by view and day. unseen: the days that were only imported."""

    differences: DataFrame
    compared: dict[tuple[str, date], int]
    unseen: Sequence[date] = ()


def newest(view: View, records: DataFrame) -> DataFrame:
    """The speed layer's tiles from the records of their topic (its columns, and `offset`): of each key the largest
    (epoch, n), the later one among equals; salts merged. Without markers and what the batch layer published."""
    own = records.where((F.col("salt") >= 0) & (F.col("app_id") != ""))
    names = [field["name"] for field in tile_schema(view)["fields"]]
    best = F.max_by(F.struct(*names), F.struct("epoch", "n", "offset")).alias("best")
    return _merged(view, own.groupBy(*view.key_columns).agg(best).select("best.*"))


def compare(speed: Speed, batch: Batch, views: Sequence[View], wanted: Sequence[date], moment: Moment) -> Parity:
    """Compares the tiles that start in the days `wanted` (in order, without a gap)."""
    compared: dict[tuple[str, date], int] = {}
    both = {view: _side_by_side(view, speed, batch, wanted).localCheckpoint() for view in views}
    for view, pairs in both.items():
        for row in pairs.groupBy("day").count().collect():
            compared[view.full_name, row["day"]] = row["count"]
    found = evidence(speed, batch, views, wanted)
    judged = [
        _judged(view, pairs, found, batch.clean, wanted, moment).localCheckpoint() for view, pairs in both.items()
    ]
    all_of_it = Parity(reduce(DataFrame.unionByName, judged), compared)
    return _without_history(all_of_it, views, only_imported(batch.events, wanted))


def _without_history(found: Parity, views: Sequence[View], unseen: Sequence[date]) -> Parity:
    """Without the tiles of days that the speed layer never saw in which nothing but history counts: who did something
    by the live door on such a day did it late, and the speed layer need not know what was imported beside it."""
    if not unseen:
        return found
    history = F.col("day").isin(*unseen) & (F.col("causes") == F.array(F.lit("imported")))
    compared = {(view.full_name, day): 0 for view in views for day in unseen} | found.compared
    for row in found.differences.where(history).groupBy("view", "day").count().collect():
        compared[row["view"], row["day"]] -= row["count"]
    return Parity(found.differences.where(~history), compared, unseen)


def _keys(view: View) -> list[str]:
    return [name for name in view.key_columns if name != "salt"]


def _type(view: View, column: str) -> str:
    (found,) = (field["type"] for field in tile_schema(view)["fields"] if field["name"] == column)
    return spark_type(found)


def _list(view: View, column: str) -> Column:
    """A list of a tile, empty where there is none, in one order."""
    kind = _type(view, column)
    return F.sort_array(F.coalesce(F.col(column).cast(kind), F.array().cast(kind)))


def _merged(view: View, parts: DataFrame) -> DataFrame:
    """Tiles whose salts are put together."""
    whole = [F.sum("n").alias("n"), F.min("first_ms").alias("first_ms"), F.max("last_ms").alias("last_ms")]
    for measure in view.measures:
        match measure.op:
            case Latest():
                value = F.max(measure.name)
            case Collect():
                value = F.flatten(F.collect_list(_list(view, measure.name)))
            case _:
                value = F.sum(measure.name)
        whole.append(value.alias(measure.name))
    return parts.groupBy(*_keys(view)).agg(*whole)


def _said(view: View, name: str, tiles: DataFrame, *more: str) -> DataFrame:
    """The keys (and `more`), and all that a tile says as one struct. What only withdrawals touched, and left at
    nothing, is no tile."""
    lists = {m.name for m in view.measures if isinstance(m.op, Collect)}
    sums = [m.name for m in view.measures if not isinstance(m.op, Collect | Latest)]
    names = ("n", "first_ms", "last_ms", *(m.name for m in view.measures))
    told = [(_list(view, each) if each in lists else F.col(each).cast(_type(view, each))).alias(each) for each in names]
    something = reduce(Column.__or__, [F.col(each) != 0 for each in ("n", *sums)])
    return tiles.where(something).select(*_keys(view), *more, F.struct(*told).alias(name))


def _side_by_side(view: View, speed: Speed, batch: Batch, wanted: Sequence[date]) -> DataFrame:
    first, end = start_of(wanted[0]), start_of(wanted[-1]) + DAY_MS
    within = (F.col("tile_start") >= first) & (F.col("tile_start") < end)
    said = _said(view, "speed", speed.tiles[view.full_name].where(within))
    true = _said(view, "batch", _known_live(view, batch).where(within))
    pairs = said.join(true, _keys(view), "full_outer")
    return pairs.withColumn("day", F.to_date(F.timestamp_millis("tile_start")))


def _known_live(view: View, batch: Batch) -> DataFrame:
    """The batch layer's tiles of entities that did something by the live door on that day: what was only imported, the
    speed layer need not know."""
    tiles = batch.tiles[view.full_name]
    if batch.events.where("origin <> 'kafka'").isEmpty():
        return tiles
    live = batch.events.where("origin = 'kafka'").select("app_id", view.entity, "day").distinct()
    return tiles.join(live, ["app_id", view.entity, "day"], "left_semi")


def _judged(
    view: View, pairs: DataFrame, found: Evidence, clean: DataFrame, wanted: Sequence[date], moment: Moment
) -> DataFrame:
    """The tiles that differ, with their causes."""
    differing = pairs.where(~F.col("speed").eqNullSafe(F.col("batch")))
    if differing.isEmpty():
        return _rows(view, differing.withColumn("causes", F.array().cast("array<string>")))
    added = _added(found.counted, wanted)
    told = _with_expected(view, differing, added, moment)
    if any(isinstance(m.op, Collect) for m in view.measures):
        told = _without_lists_nobody_can_tell(view, told, found.crowded)
    else:
        told = told.withColumn("as_judged", F.col("speed").eqNullSafe(F.col("expected")))
    causes = _causes_of_events(view, found.events, clean, added, differing.select(*_keys(view)))
    told = told.join(causes, _keys(view), "left")
    return _rows(view, told.withColumn("causes", _causes(view, moment)))


def _added(counted: DataFrame, wanted: Sequence[date]) -> DataFrame:
    """What the speed layer's verdicts add to tiles of the days: events, and withdrawals of earlier ones."""
    taken_back = {"sign": F.lit(-1), "tile_time": F.col("cancels_time"), "salted_by": F.col("cancels_event_id")}
    taken_back["withdrawn_ms"] = F.col("cancels_watch_ms")
    withdrawn = counted.where("cancels_time IS NOT NULL").withColumns(taken_back)
    both = contributions(counted).unionByName(withdrawn)
    return both.where(F.col("tile_time").between(start_of(wanted[0]), start_of(wanted[-1]) + DAY_MS - 1))


def _tiles(view: View, added: DataFrame, engine: Engine = SPARK) -> DataFrame:
    added.createOrReplaceTempView("contributions")
    return added.sparkSession.sql(to_sql(tile_query(view, engine, EPOCH), engine))


def _with_expected(view: View, differing: DataFrame, added: DataFrame, moment: Moment) -> DataFrame:
    """With `expected`, the tile by the speed layer's own verdicts; `moving`: some of them were given while topics were
    read; `touched`: there are verdicts on the entity in that time at all."""
    entity = ["app_id", view.entity]
    mine = added.join(differing.select(*entity).distinct(), entity, "left_semi")
    expected = _said(view, "expected", _tiles(view, mine))
    moving = mine.where(F.col("judged_at") >= moment.settled).select(*entity).distinct().withColumn("_m", F.lit(True))
    sizes = F.array(*(F.lit(each.ms).cast("bigint") for each in view.tiles))
    spans = mine.select(*entity, F.explode(sizes).alias("tile_ms"), "tile_time")
    start = (F.col("tile_time") - F.col("tile_time") % F.col("tile_ms")).alias("tile_start")
    touched = spans.select(*entity, "tile_ms", start).distinct().withColumn("_t", F.lit(True))
    told = differing.join(expected, _keys(view), "left").join(moving, entity, "left")
    told = told.join(touched, [*entity, "tile_ms", "tile_start"], "left")
    known = {"moving": F.coalesce("_m", F.lit(False)), "touched": F.coalesce("_t", F.lit(False))}
    return told.withColumns(known).drop("_m", "_t")


def _without_lists_nobody_can_tell(view: View, told: DataFrame, crowded: DataFrame) -> DataFrame:
    """Where a list was cut, the rest of the tile decides."""
    names = ["n", "first_ms", "last_ms", *(m.name for m in view.measures if not isinstance(m.op, Collect))]

    def rest(of: str) -> Column:
        return F.struct(*(F.col(f"{of}.{name}") for name in names))

    told = told.join(crowded.withColumn("_c", F.lit(True)), ["app_id", view.entity, "tile_start"], "left")
    cut = F.coalesce("_c", F.lit(False))
    same = F.col("speed").eqNullSafe(F.col("expected")) | (cut & rest("speed").eqNullSafe(rest("expected")))
    return told.withColumn("as_judged", same).where(~(cut & rest("speed").eqNullSafe(rest("batch")))).drop("_c")


def _causes_of_events(
    view: View, events: DataFrame, clean: DataFrame, added: DataFrame, differing: DataFrame
) -> DataFrame:
    """Keys and `reasons`: of the events that add another part to a differing tile in one layer than in the other."""
    true = contributions(clean)
    of_events = events.select("app_id", F.col("event_id").alias("salted_by"))

    def parts(name: str, rows: DataFrame) -> DataFrame:
        mine = rows.join(of_events, ["app_id", "salted_by"], "left_semi")
        made = _tiles(view, mine, _BY_EVENT).join(differing, _keys(view), "left_semi")
        return _said(view, name, made.withColumnRenamed("salt", "event_id"), "event_id")

    both = parts("batch", true).join(parts("speed", added), [*_keys(view), "event_id"], "full_outer")
    differ = both.join(events, ["app_id", "event_id"]).withColumn("reasons", _reasons(view))
    known = F.when(F.size("reasons") > 0, F.col("reasons")).otherwise(F.array(F.lit("unknown")))
    told = differ.where("reasons IS NOT NULL").withColumn("reasons", known)
    return told.groupBy(*_keys(view)).agg(F.flatten(F.collect_list("reasons")).alias("reasons"))


def _reasons(view: View) -> Column:
    """Of one event's part of a tile; null where both layers add the same."""

    def differs(name: str) -> Column:
        op = next((m.op for m in view.measures if m.name == name), None)
        sides = [F.col(f"{side}.{name}") for side in ("batch", "speed")]
        if isinstance(op, Collect):
            sides = [F.when(F.size(side) > 0, side) for side in sides]
        elif not isinstance(op, Latest):
            sides = [F.coalesce(side, F.lit(0)) for side in sides]
        return ~sides[0].eqNullSafe(sides[1])

    def any_of(names: list[str]) -> Column:
        return reduce(Column.__or__, [differs(name) for name in names], F.lit(False))

    turned = any_of([m.name for m in view.measures if isinstance(m.op, Toggle | Watched)])
    other = any_of([m.name for m in view.measures if not isinstance(m.op, Toggle | Watched)])
    own, word = F.col("own"), F.when(F.col("word").isNotNull(), F.array("word")).otherwise(F.col("own"))
    return F.when(differs("n"), own).when(turned & other, F.concat(word, own)).when(turned, word).when(other, own)


def _causes(view: View, moment: Moment) -> Column:
    """Of a tile with speed, batch, expected, as_judged, moving, touched and reasons."""
    reasons = F.coalesce("reasons", F.array().cast("array<string>"))
    there, due = F.col("speed").isNotNull(), F.col("expected").isNotNull()
    # The topic keeps a tile as long as the view's longest does.
    aged = F.col("tile_start") + F.col("tile_ms") + view.keep <= moment.now
    fewer, no_more = (
        F.col("speed.n") < F.col("expected.n"),
        F.coalesce(F.col("speed.n") <= F.col("expected.n"), ~there),
    )

    def also(cause: str) -> Column:
        return F.concat(reasons, F.array(F.lit(cause)))

    found = (
        F.when(F.col("as_judged"), F.when(F.size(reasons) > 0, reasons).otherwise(also("unknown")))
        .when(~there & aged, F.array(F.lit("expired")))
        .when(due & aged & fewer, also("expired"))
        .when(due & F.col("moving") & no_more, also("lag"))
        .when(due | F.col("touched"), also("code"))
        .otherwise(also("unknown"))
    )
    return F.array_sort(F.array_distinct(found))


def _rows(view: View, told: DataFrame) -> DataFrame:
    """In the columns of gold/parity."""
    facet = F.col(view.facet) if view.facet else F.lit(None).cast("string")
    whole = {"ignoreNullFields": "false"}
    return told.select(
        F.lit(view.full_name).alias("view"),
        "app_id",
        F.col(view.entity).alias("entity"),
        facet.alias("facet"),
        "tile_ms",
        "tile_start",
        "causes",
        F.to_json("speed", whole).alias("speed"),
        F.to_json("batch", whole).alias("batch"),
        "day",
    )


@dataclass(frozen=True)
class Summary:
    """A view on a day: tiles in either layer, those that differ, and how many of them have each cause; whether the day
    was only imported."""

    view: str
    day: date
    compared: int
    different: int
    causes: dict[str, int]
    only_imported: bool = False

    def row(self) -> dict[str, Any]:
        """In the columns of gold/parity_summary."""
        return {
            "view": self.view,
            "compared": self.compared,
            "different": self.different,
            **self.causes,
            "only_imported": self.only_imported,
            "day": self.day,
        }


def summaries(found: Parity) -> list[Summary]:
    """By view and day."""
    of_causes = [F.sum(F.array_contains("causes", cause).cast("int")).alias(cause) for cause in CAUSES]
    told = found.differences.groupBy("view", "day").agg(F.count("*").alias("different"), *of_causes).collect()
    counted = {(row["view"], row["day"]): row for row in told}
    made = []
    for (view, day), compared in sorted(found.compared.items()):
        row = counted.get((view, day))
        causes = {cause: int(row[cause]) if row else 0 for cause in CAUSES}
        different = int(row["different"]) if row else 0
        made.append(Summary(view, day, compared, different, causes, day in found.unseen))
    return made


def not_compared(views: Sequence[View], unseen: Sequence[date]) -> list[Summary]:
    """Of days of which nothing came by the live door at all."""
    none = dict.fromkeys(CAUSES, 0)
    return [Summary(view.full_name, day, 0, 0, none, only_imported=True) for day in unseen for view in views]


def totals(told: Sequence[Summary]) -> dict[str, int]:
    """Over all views and days: rows (tiles compared), different, and each cause."""
    causes = {cause: sum(each.causes[cause] for each in told) for cause in CAUSES}
    return {"rows": sum(each.compared for each in told), "different": sum(each.different for each in told), **causes}


def summary_rows(spark: SparkSession, told: Sequence[Summary]) -> DataFrame:
    """As gold/parity_summary."""
    counts = ", ".join(f"{name} BIGINT" for name in ("compared", "different", *CAUSES))
    columns = f"view STRING, {counts}, only_imported BOOLEAN, day DATE"
    return spark.createDataFrame([tuple(each.row().values()) for each in told], columns)
