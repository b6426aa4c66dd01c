"""From the lake into the online store: the tiles that end before the cut-off, through the topic of their view.

The cut-off is the start of a day that lies the lateness bound before the moment up to which bronze is complete: what is
older can only have changed by events that the speed layer would not take either. Tiles first, then a marker at the end
of every partition (foryou.features.cutoff), so that readers go over from one layer to the other at once.

Topics keep the newest record of a key and readers the largest version of a tile: so neither the cut-off nor the epoch
of what is sent ever falls, whatever days a night is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro

from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.features.compilers.avro import tile_schema
from foryou.features.spec import View
from foryou.lake.days import DAY_MS, start_of
from foryou.lake.tables import Lake

IN_FLIGHT_MS = 5 * 60_000  # from the collector's stamp to Kafka; what takes longer makes its day dirty when it comes


def cutoff_of(complete_through: int, last_day: date) -> int:
    """Up to when (UTC ms, the start of a day) the batch layer counts, given the moment up to which bronze holds
    everything
    that was received, and the last day that was made."""
    by_offsets = (complete_through - LATENESS_BOUND_MS) // DAY_MS * DAY_MS
    return min(by_offsets, start_of(last_day) + DAY_MS)


@dataclass(frozen=True)
class Claim:
    """Up to when the batch layer counts (UTC ms), and the epoch of the tiles that are sent."""

    cutoff: int
    epoch: int


def claim(lake: Lake, complete_through: int, last_day: date) -> Claim:
    """The next one: no cut-off before the last one, an epoch behind it. Written down before anything is sent, so that a
    publication that breaks off is followed by one that counts more."""
    try:
        before = Claim(**json.loads(lake.published.read_text("utf-8")))
    except FileNotFoundError:
        before = Claim(0, 0)
    made = Claim(max(before.cutoff, cutoff_of(complete_through, last_day)), max(before.epoch + 1, complete_through))
    draft = lake.published.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(made)), "utf-8")
    draft.replace(lake.published)
    return made


def published(view: View) -> bool:
    """Whether a tile of the view can still be read when it is older than the lateness bound."""
    return view.keep > LATENESS_BOUND_MS


def to_publish(view: View, tiles: DataFrame, wanted: Sequence[date], claimed: Claim) -> DataFrame:
    """Tiles of the days that end before the cut-off and can still be read."""
    cutoff = claimed.cutoff
    oldest = F.lit(0)
    for resolution in view.tiles:
        kept = cutoff - resolution.keep - resolution.ms
        oldest = F.when(F.col("tile_ms") == resolution.ms, kept).otherwise(oldest)
    whole = F.col("tile_start") + F.col("tile_ms") <= cutoff
    chosen = tiles.where(F.col("day").isin(*wanted) & whole & (F.col("tile_start") > oldest))
    return chosen.withColumn("epoch", F.lit(claimed.epoch)).drop("day")


def records(view: View, tiles: DataFrame, schema_id: int) -> DataFrame:
    """key and value of the view's topic."""
    text = json.dumps(tile_schema(view))
    names = [field["name"] for field in tile_schema(view)["fields"]]
    key = F.concat_ws("|", *(F.col(name).cast("string") for name in view.key_columns))
    head = F.unhex(F.lit("00" + schema_id.to_bytes(4, "big").hex()))
    value = F.concat(head, to_avro(F.struct(*names), text))
    return tiles.select(key.cast("binary").alias("key"), value.alias("value"))


@dataclass(frozen=True)
class Sent:
    """What went to one topic."""

    topic: str
    tiles: int
    cutoff: int


def publish(
    spark: SparkSession,
    lake: Lake,
    view: View,
    wanted: Sequence[date],
    claimed: Claim,
    kafka: str,
    schema_id: int,
    marker: Callable[[int, int], tuple[str, bytes]],
) -> Sent:
    """Sends the view's tiles of the days, then a marker to each partition: `marker(partition, partitions)` gives its
    key and
    value. Raises KafkaException when Kafka does not take them; sending again changes nothing."""
    tiles = spark.read.format("delta").load(lake.tiles(view))
    rows = records(view, to_publish(view, tiles, wanted, claimed), schema_id).persist()
    try:
        count = rows.count()
        if count:
            writer = rows.write.format("kafka").option("kafka.bootstrap.servers", kafka).option("topic", view.topic)
            writer.option("kafka.acks", "all").option("kafka.enable.idempotence", "true").save()
    finally:
        rows.unpersist()
    _mark(view.topic, kafka, marker)
    return Sent(view.topic, count, claimed.cutoff)


def _mark(topic: str, kafka: str, marker: Callable[[int, int], tuple[str, bytes]]) -> None:
    partitions = len(AdminClient({"bootstrap.servers": kafka}).list_topics(topic, timeout=20).topics[topic].partitions)
    producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True})
    failures: list[Any] = []
    for partition in range(partitions):
        key, value = marker(partition, partitions)
        producer.produce(
            topic, value, key, partition, on_delivery=lambda error, _: failures.append(error) if error else None
        )
    if producer.flush(30) or failures:
        raise ConnectionError(f"Kafka at {kafka} did not take the cut-off of {topic}: {failures or 'no answer'}")
