"""Bronze: every record as it came, exactly once, whatever is in it.

From Kafka by Structured Streaming with `availableNow`: Delta keeps the number of each micro-batch beside its rows, so
that a batch that is written again after a kill is not written twice. From the inbox (history, `foryou import`) by
Delta's own transaction id, one per import.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, LongType

from foryou.lake.partitions import create
from foryou.lake.tables import Lake

TOPICS = ("events.action.v1", "events.context.v1", "events.content.v1", "events.account.v1", "feed.served.v1")
COLUMNS = {
    "origin": "STRING",
    "topic": "STRING",
    "partition": "INT",
    "offset": "BIGINT",
    "kafka_time": "BIGINT",
    "key": "STRING",
    "schema_id": "INT",
    "value": "BINARY",
    "day": "DATE",
}
OFFSETS_PER_BATCH = 2_000_000  # bounds what a micro-batch has to hold and what a kill costs
LONGEST_VALUE = 1_000_000


@dataclass(frozen=True)
class Taken:
    """What a run took: rows by topic."""

    rows: dict[str, int]


class SchemaMissing(Exception):
    """The registry does not know (or cannot tell) a schema that a record was written with."""


def ensure(spark: SparkSession, lake: Lake) -> None:
    """An empty table, where there is none: a night before the first event is a night."""
    create(spark, lake.bronze, COLUMNS)


def from_kafka(spark: SparkSession, lake: Lake, kafka: str) -> None:
    """Takes what the topics hold by now. Raises Spark's StreamingQueryException: for one, when Kafka has dropped
    records
    that were never taken."""
    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka)
        .option("subscribe", ",".join(TOPICS))
        .option("startingOffsets", "earliest")
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", str(OFFSETS_PER_BATCH))
        .load()
    )
    query = (
        _rows(source)
        .writeStream.format("delta")
        .outputMode("append")
        .partitionBy("day")
        .option("checkpointLocation", str(lake.root / "checkpoints" / "bronze"))
        .trigger(availableNow=True)
        .start(lake.bronze)
    )
    query.awaitTermination()


def _rows(source: DataFrame) -> DataFrame:
    kafka_time = F.unix_millis("timestamp")
    return source.select(
        F.lit("kafka").alias("origin"),
        "topic",
        "partition",
        "offset",
        kafka_time.alias("kafka_time"),
        F.col("key").cast("string").alias("key"),
        schema_id("value").alias("schema_id"),
        "value",
        F.to_date("timestamp").alias("day"),
    )


def schema_id(value: str) -> Column:
    """Of a value in the Confluent wire format; null where it is not one."""
    number = F.conv(F.hex(F.substring(value, 2, 4)), 16, 10).cast(LongType())
    signed = F.when(number >= 2**31, number - 2**32).otherwise(number).cast(IntegerType())
    framed = (F.length(value) > 5) & (F.hex(F.substring(value, 1, 1)) == "00")
    return F.when(framed, signed)


def from_inbox(spark: SparkSession, lake: Lake) -> list[str]:
    """Takes each import that has not been taken yet; returns their ids."""
    taken = []
    for folder in sorted(path for path in lake.inbox.glob("*") if path.is_dir() and not path.name.startswith(".")):
        done = folder / ".taken"
        if done.exists():
            continue
        rows = spark.read.parquet(str(folder)).withColumn("day", F.to_date(F.timestamp_millis("kafka_time")))
        (
            rows.select(*COLUMNS)
            .write.format("delta")
            .mode("append")
            .partitionBy("day")
            .option("txnAppId", f"import:{folder.name}")
            .option("txnVersion", "1")
            .save(lake.bronze)
        )
        done.touch()
        taken.append(folder.name)
    return taken


def keep_schemas(spark: SparkSession, lake: Lake, registry: str, transport: httpx.BaseTransport | None = None) -> None:
    """Saves the text of each schema that bronze was written with and that is not saved yet. Raises SchemaMissing
    when the
    registry does not answer; one that it does not know is left out, and its records are unreadable."""
    lake.schemas.mkdir(parents=True, exist_ok=True)
    known = {int(path.stem) for path in lake.schemas.glob("*.avsc")}
    found = spark.read.format("delta").load(lake.bronze).where("schema_id >= 0").select("schema_id").distinct()
    with httpx.Client(timeout=10, transport=transport) as http:
        for (number,) in found.collect():
            if number in known:
                continue
            try:
                answer = http.get(f"{registry}/schemas/ids/{number}")
            except httpx.HTTPError as error:
                raise SchemaMissing(f"schema {number}: the registry at {registry} does not answer ({error})") from error
            if answer.status_code == 200:
                save_schema(lake.schemas, number, answer.json()["schema"])


def save_schema(folder: Path, number: int, text: str) -> None:
    """Writes `<number>.avsc` whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    json.loads(text)
    draft = folder / f".{number}.avsc"
    draft.write_text(text, "utf-8")
    draft.replace(folder / f"{number}.avsc")


def counts(spark: SparkSession, lake: Lake) -> dict[str, int]:
    """Rows of bronze by topic."""
    rows = spark.read.format("delta").load(lake.bronze).groupBy("topic").count().collect()
    return {row["topic"]: row["count"] for row in sorted(rows, key=lambda row: str(row["topic"]))}
