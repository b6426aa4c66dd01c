"""Silver: bronze decoded, one row per event, conformed. What cannot be decoded is set aside with its place and the
reason.

Follows bronze as a stream of its commits. A micro-batch that is repeated after a kill finds its rows there and changes
nothing. Of the copies of an event the one stays that Flink let in: not late first, then the first to arrive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.contract.relations import RELATIONS, WATCHING
from foryou.contract.schemas import schema
from foryou.features.compilers.spark import spark_type
from foryou.lake import days
from foryou.lake.clean import beside, play
from foryou.lake.few import small
from foryou.lake.partitions import create
from foryou.lake.tables import Lake

BYTES_PER_BATCH = "400m"
ARRIVAL = ("topic", "source_partition", "source_offset")
WORDS = sorted(word for relation in RELATIONS for word in (relation.on, relation.off) if word)


@dataclass(frozen=True)
class Kind:
    """One silver table: the schema it is read by, the lanes it comes from, its key, the time that gives its day."""

    schema: str
    lanes: tuple[str, ...]
    key: tuple[str, ...]
    time: Callable[[], Column]
    table: Callable[[Lake], str]


def _clamped() -> Column:
    return F.least("event_time", "received_at")


KINDS = (
    Kind(
        "event", ("events.action.v1", "events.context.v1"), ("app_id", "event_id"), _clamped, lambda lake: lake.events
    ),
    Kind("content", ("events.content.v1",), ("app_id", "event_id"), _clamped, lambda lake: lake.content),
    Kind("account", ("events.account.v1",), ("app_id", "event_id"), _clamped, lambda lake: lake.account),
    Kind("served", ("feed.served.v1",), ("app_id", "request_id"), lambda: F.col("served_at"), lambda lake: lake.served),
)


def refine(spark: SparkSession, lake: Lake) -> None:
    """Takes what bronze has and silver has not yet. Days that change are marked first."""
    for kind in KINDS:
        _ensure(spark, kind, lake)
    events = spark.read.format("delta").load(lake.bronze).where(lane().isin(*KINDS[0].lanes))
    written_by = _schemas_of(events)  # of all of bronze, any batch's among them: two columns are read, no values
    source = spark.readStream.format("delta").option("maxBytesPerTrigger", BYTES_PER_BATCH).load(lake.bronze)
    query = (
        source.writeStream.foreachBatch(lambda rows, number: _merge_batch(rows, lake, number, written_by))
        .option("checkpointLocation", str(lake.silver_checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


def _merge_batch(rows: DataFrame, lake: Lake, number: int, written_by: Sequence[tuple[str, int]]) -> None:
    """Each look at `rows` reads all of them again, whatever is asked: a stream's batch takes no filter into its files.
    So they are read twice for the events (`written_by`: lanes and schema ids), and once for the little that is left."""
    schemas = saved_schemas(lake.schemas)
    known = F.col("schema_id").isNotNull() & (F.col("schema_id").isin(*schemas) if schemas else F.lit(False))
    events = lane().isin(*KINDS[0].lanes)
    rest = rows.where(~known | ~events).localCheckpoint()
    present = [*written_by, *_schemas_of(rest)]
    broken = [_places(rest.where(~known))]
    for kind in KINDS:
        ids = sorted({id_ for of, id_ in present if of in kind.lanes and id_ in schemas})
        if not ids:
            continue
        of_kind = (rows if kind.schema == "event" else rest).where(known & lane().isin(*kind.lanes))
        opened = reduce(DataFrame.unionByName, [_opened(of_kind, kind, id_, schemas[id_]) for id_ in ids])
        broken.append(_merge(kind, lake, opened))
    _set_aside(reduce(DataFrame.unionByName, broken), lake, number)


def _schemas_of(rows: DataFrame) -> list[tuple[str, int]]:
    """(lane, schema id) of rows."""
    found = rows.select("origin", "topic", "schema_id").distinct().select(lane(), "schema_id").distinct()
    return [(row["lane"], row["schema_id"]) for row in found.collect()]


def lane() -> Column:
    """The lane of a record: its topic; an import's is inside of its topic's name, import.<lane>.<id>."""
    inside = F.expr("substring(topic, 8, length(topic) - 8 - length(substring_index(topic, '.', -1)))")
    return F.when(F.col("origin") == "import", inside).otherwise(F.col("topic")).alias("lane")


def saved_schemas(folder: Path) -> dict[int, str]:
    """schema id → text."""
    return {int(path.stem): path.read_text("utf-8") for path in folder.glob("[-0-9]*.avsc")}


def _opened(rows: DataFrame, kind: Kind, schema_id: int, written_by: str) -> DataFrame:
    """Rows of one writer schema with `record`, by the reader's schema: null, or of nulls, where it cannot be read."""
    options = {"mode": "PERMISSIVE", "avroSchema": json.dumps(schema(kind.schema))}
    record = from_avro(F.expr("substring(value, 6)"), written_by, options).alias("record")
    places = ("origin", "topic", "partition", "offset", "schema_id", "day")
    return rows.where(F.col("schema_id") == schema_id).select(record, *places, F.length("value").alias("bytes"))


def _readable(kind: Kind) -> Column:
    return reduce(Column.__and__, [F.col(f"record.{name}").isNotNull() for name in kind.key])


def decoded(opened: DataFrame, kind: Kind) -> DataFrame:
    """The records that can be read, in the kind's columns, with where they came from, their time and day."""
    names = [field["name"] for field in schema(kind.schema)["fields"]]
    return _flat(opened, kind).where("readable").select(*names, "origin", *ARRIVAL, "time", "day", "late")


def _flat(opened: DataFrame, kind: Kind) -> DataFrame:
    """Records in the kind's columns, with their places, their time and day, and whether they could be read."""
    place = [F.col(name) for name in ("partition", "offset", "schema_id", "bytes", "origin", "topic")]
    source = [F.col("partition").alias("source_partition"), F.col("offset").alias("source_offset")]
    fields = [F.col(f"record.{field['name']}").alias(field["name"]) for field in schema(kind.schema)["fields"]]
    flat: DataFrame = opened.select(
        *fields, *place, *source, F.col("day").alias("taken_on"), _readable(kind).alias("readable")
    )
    late = F.col("received_at") - F.col("event_time") > LATENESS_BOUND_MS if kind.schema == "event" else F.lit(False)
    flat = flat.withColumn("time", kind.time())
    return flat.withColumns({"day": F.to_date(F.timestamp_millis("time")), "late": late})


def later_copies(rows: DataFrame, key: tuple[str, ...]) -> DataFrame:
    """The places of rows that another one of the same key comes before: not late first, then the first to arrive.

    Copies are few. Ranking every row would sort them all; only keys that come twice are ranked.
    """
    twice = small(rows.groupBy(*key).count().where("count > 1").select(*key))
    turn = F.row_number().over(Window.partitionBy(*key).orderBy("late", *ARRIVAL))
    ranked = rows.join(twice, list(key), "left_semi").withColumn("_turn", turn)
    return ranked.where("_turn > 1").select(*ARRIVAL)


def _merge(kind: Kind, lake: Lake, opened: DataFrame) -> DataFrame:
    """Puts winners in: those of events that silver does not have are appended, the few others merged. Returns where
    the records are that could not be read.

    A MERGE moves every column of every row through two shuffles, only to find that nearly all of them are new. What
    is new is asked of a few columns alone; these are kept meanwhile, and the rest is opened once more to be written:
    whole rows of millions of events would fill the memory. Repeated after a kill in between, what was appended is
    known.
    """
    spark, table = opened.sparkSession, DeltaTable.forPath(opened.sparkSession, kind.table(lake))
    looked = _looked_at(opened, kind).persist()
    try:
        readable = looked.where("readable")
        copies = later_copies(readable, kind.key).localCheckpoint()
        winners = readable.join(small(copies), list(ARRIVAL), "left_anti")
        days.mark(lake.dirty, _touched(spark, kind, lake, winners))
        known = small(winners.select(*kind.key).join(table.toDF().select(*kind.key), list(kind.key), "left_semi"))
        again = winners.join(known, list(kind.key), "left_semi").select(*ARRIVAL).localCheckpoint()
        rows = decoded(opened, kind)
        if not again.isEmpty():
            same = " AND ".join(f"t.{name} = s.{name}" for name in kind.key)
            earlier = "struct(s.late, s.topic, s.source_partition, s.source_offset)"
            earlier += " < struct(t.late, t.topic, t.source_partition, t.source_offset)"
            source = rows.join(small(again), list(ARRIVAL), "left_semi").alias("s")
            table.alias("t").merge(source, same).whenMatchedUpdateAll(earlier).execute()
        new = rows.join(small(copies.union(again)), list(ARRIVAL), "left_anti")
        new.write.format("delta").mode("append").save(kind.table(lake))
        return _places(looked.where("NOT readable").withColumn("day", F.col("taken_on"))).localCheckpoint()
    finally:
        looked.unpersist()


def _looked_at(opened: DataFrame, kind: Kind) -> DataFrame:
    """What decides of a record: its key, place, day, and whose or what it speaks of; and whether it can be read."""
    flat = _flat(opened, kind)
    of: dict[str, list[Column]] = {
        "event": [F.col("user_key"), F.when(F.col("event_type").isin(*WORDS), _object()).alias("object"), _play()],
        "content": [F.col("video_id")],
        "account": [F.col("user_key")],
        "served": [],
    }
    place = ("partition", "offset", "schema_id", "bytes", "taken_on", "readable")
    return flat.select(*kind.key, "late", "day", *ARRIVAL, *place, *of[kind.schema])


def _play() -> Column:
    return F.when(F.col("event_type").isin(*WATCHING), play()).alias("play")


def _object() -> Column:
    """What an event speaks of."""
    return F.coalesce("video_id", "target_user_key")


def _touched(spark: SparkSession, kind: Kind, lake: Lake, rows: DataFrame) -> list[date]:
    """Days whose clean rows these may change: their own; those of words on the same relations; those of a play that
    runs over midnight; those of a video that was not known when it was watched."""
    if kind.schema == "served":
        return []
    events = spark.read.format("delta").load(lake.events)
    if kind.schema == "event":
        own = [row["day"] for row in rows.select("day").distinct().collect()]
        found = [_of_words(events, rows), _of_plays(events, rows, own)]
    else:
        own = []
        subject = "video_id" if kind.schema == "content" else "user_key"
        key = ["app_id", subject]
        known = spark.read.format("delta").load(kind.table(lake)).select(*key).distinct()
        new = rows.select(*key).distinct().join(known, key, "left_anti")
        found = [events.select(*key, "day").join(new, key, "left_semi").select("day")]
    return [*own, *(row["day"] for row in reduce(DataFrame.union, found).distinct().collect())]


def _of_words(events: DataFrame, rows: DataFrame) -> DataFrame:
    key = ["app_id", "user_key", "object"]
    words = rows.where("object IS NOT NULL").select(*key).distinct()
    spoken = events.where(F.col("event_type").isin(*WORDS)).withColumn("object", _object())
    return spoken.select(*key, "day").join(words, key, "left_semi").select("day")


def _of_plays(events: DataFrame, rows: DataFrame, own: Sequence[date]) -> DataFrame:
    """Of the days beside `own`, those that a play of these rows runs into."""
    key = ["app_id", "user_key", "play"]
    across = sorted(set(beside(own)) - set(own))
    plays = events.where(F.col("day").isin(*across)).select("app_id", "user_key", _play(), "day")
    return plays.join(rows.select(*key).distinct(), key, "left_semi").select("day")


def _places(rows: DataFrame) -> DataFrame:
    """Where records are, and how long."""
    length = F.col("bytes") if "bytes" in rows.columns else F.length("value")
    return rows.select("topic", "partition", "offset", "schema_id", length.alias("bytes"), "day")


def _set_aside(broken: DataFrame, lake: Lake, number: int) -> None:
    """Notes where the records are that no kind could read, and why."""
    schemas = saved_schemas(lake.schemas)
    known = F.col("schema_id").isin(*schemas) if schemas else F.lit(False)
    reason = (
        F.when(F.col("schema_id").isNull(), "not in the Confluent wire format")
        .when(~known, F.concat(F.lit("schema unknown to the registry: "), F.col("schema_id").cast("string")))
        .otherwise("not Avro of its schema")
    )
    found = broken.select("topic", "partition", "offset", reason.alias("reason"), "bytes", "day")
    (
        found.write.format("delta")
        .mode("append")
        .partitionBy("day")
        .option("txnAppId", "silver:unreadable")
        .option("txnVersion", str(number))
        .save(lake.unreadable)
    )


def _ensure(spark: SparkSession, kind: Kind, lake: Lake) -> None:
    """An empty table in the kind's columns, where there is none."""
    own = {field["name"]: spark_type(field["type"]) for field in schema(kind.schema)["fields"]}
    place = {"origin": "STRING", "topic": "STRING", "source_partition": "INT", "source_offset": "BIGINT"}
    create(spark, kind.table(lake), own | place | {"time": "BIGINT", "day": "DATE", "late": "BOOLEAN"})
