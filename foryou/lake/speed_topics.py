"""What the speed layer said, as its topics hold it: verdicts and tiles, read once up to the ends of one moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from functools import reduce

import httpx
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from foryou.contract.codec import NotAvro, Registry
from foryou.contract.schemas import AvroSchema, schema
from foryou.features.compilers.avro import tile_schema
from foryou.features.compilers.spark import spark_type
from foryou.features.spec import View
from foryou.lake.bronze import save_schema, schema_id
from foryou.lake.days import start_of
from foryou.lake.layers import Speed
from foryou.lake.parity import newest
from foryou.lake.silver import saved_schemas
from foryou.lake.tables import Lake
from foryou.lake.topic_spans import spans_of

CLEAN, DUPLICATE, LATE = "events.clean.v1", "events.duplicate.v1", "events.late.v1"
SETTLES_MS = 60_000  # a verdict this old is in its tiles, unless the job stands
SchemaText = Callable[[int], str | None]


class Topics:
    """The ends of topics, asked once. A topic that is not there is empty."""

    def __init__(self, kafka: str, topics: Sequence[str], since_ms: int) -> None:
        self.kafka = kafka
        self.spans = spans_of(kafka, topics, since_ms)

    def raw(self, spark: SparkSession, topic: str) -> DataFrame | None:
        """Records: partition, offset, kafka_time, value; tombstones left out. None where there are none."""
        spans = {str(partition): span for partition, span in self.spans[topic].items()}
        if not any(span.start < span.end for span in spans.values()):
            return None
        options = {
            "kafka.bootstrap.servers": self.kafka,
            "subscribe": topic,
            "startingOffsets": json.dumps({topic: {partition: span.start for partition, span in spans.items()}}),
            "endingOffsets": json.dumps({topic: {partition: span.end for partition, span in spans.items()}}),
            "failOnDataLoss": "false",  # of a compacted topic offsets may be gone by the time
        }
        read = spark.read.format("kafka").options(**options).load().where("value IS NOT NULL")
        return read.select("partition", "offset", F.unix_millis("timestamp").alias("kafka_time"), "value")


def days_held(kafka: str, wanted: Sequence[date]) -> list[date]:
    """The days from which on events.clean holds all its verdicts; older ones cannot be explained."""
    for number, day in enumerate(wanted):
        spans = spans_of(kafka, [CLEAN], start_of(day))[CLEAN]
        if all(span.whole for span in spans.values()):
            return list(wanted[number:])
    return []


def read(
    spark: SparkSession,
    lake: Lake,
    views: Sequence[View],
    first: date,
    kafka: str,
    registry: str,
    transport: httpx.BaseTransport | None = None,
) -> tuple[Speed, list[DataFrame]]:
    """The speed layer's side from a day on, and what to unpersist in the end. Tiles are read before verdicts: every
    event that is in a tile has its verdict. Raises KafkaException, httpx.HTTPError."""
    text = _texts(lake, Registry(registry, transport=transport))
    since, kept = start_of(first), []

    def records(topics: Topics, topic: str, reader: AvroSchema) -> DataFrame:
        raw = topics.raw(spark, topic)
        made = _empty(spark, reader) if raw is None else _decoded(raw, reader, text)
        kept.append(made.persist())
        made.count()  # now, not when it is asked for: what is compacted meanwhile is in
        return made

    of_tiles = Topics(kafka, [view.topic for view in views], since)
    tiles = {view.full_name: newest(view, records(of_tiles, view.topic, tile_schema(view))) for view in views}
    of_verdicts = Topics(kafka, [CLEAN, DUPLICATE, LATE], since)
    clean = records(of_verdicts, CLEAN, schema("clean"))
    apart = [
        records(of_verdicts, topic, schema("apart")).withColumn("verdict", F.lit(verdict))
        for topic, verdict in ((DUPLICATE, "duplicate"), (LATE, "late"))
    ]
    judged = clean.withColumnsRenamed({"kafka_time": "judged_at", "offset": "judged_offset"}).drop("partition")
    return Speed(judged, apart[0].unionByName(apart[1]), tiles), kept


def _texts(lake: Lake, registry: Registry) -> SchemaText:
    def text(number: int) -> str | None:
        saved = saved_schemas(lake.schemas)
        if number not in saved:
            try:
                save_schema(lake.schemas, number, json.dumps(registry.schema(number)))
            except NotAvro:
                return None
        return saved_schemas(lake.schemas)[number]

    return text


def _decoded(raw: DataFrame, reader: AvroSchema, text: SchemaText) -> DataFrame:
    """The reader's columns, and partition, offset, kafka_time. What no schema reads is left out."""
    framed = raw.select("*", schema_id("value").alias("schema_id")).persist()
    parts = []
    names = [field["name"] for field in reader["fields"]]
    options = {"mode": "PERMISSIVE", "avroSchema": json.dumps(reader)}
    for (number,) in framed.where("schema_id IS NOT NULL").select("schema_id").distinct().collect():
        written_by = text(number)
        if written_by is None:
            continue
        value = from_avro(F.expr("substring(value, 6)"), written_by, options).alias("read")
        found = framed.where(F.col("schema_id") == number).select("partition", "offset", "kafka_time", value)
        parts.append(found.where("read.app_id IS NOT NULL").select(*(f"read.{name}" for name in names), *_PLACE))
    if not parts:
        return _empty(raw.sparkSession, reader)
    return reduce(DataFrame.unionByName, parts)


_PLACE = ("partition", "offset", "kafka_time")


def _empty(spark: SparkSession, reader: AvroSchema) -> DataFrame:
    columns = [f"`{field['name']}` {spark_type(field['type'])}" for field in reader["fields"]]
    return spark.createDataFrame([], ", ".join([*columns, "partition INT", "`offset` BIGINT", "kafka_time BIGINT"]))
