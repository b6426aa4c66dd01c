"""Tiles of some days from clean rows, by the same definitions as the speed layer's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from foryou.features.compilers.spark import tile_select
from foryou.features.spec import View


def tiles(view: View, clean: DataFrame) -> DataFrame:
    """The view's tiles: the columns of its topic, and the day of tile_start."""
    contributions(clean).createOrReplaceTempView("contributions")
    made = clean.sparkSession.sql(tile_select(view))
    return made.withColumn("day", F.to_date(F.timestamp_millis("tile_start")))


def contributions(clean: DataFrame) -> DataFrame:
    """What clean rows of the batch layer add to tiles. A word that no longer stands adds nothing, so there is nothing
    to withdraw: every row counts for itself."""
    itself = {"sign": F.lit(1), "tile_time": F.col("time"), "salted_by": F.col("event_id")}
    return clean.withColumns({**itself, "withdrawn_ms": F.lit(None).cast("bigint")})


def days_of(clean: DataFrame, wanted: Sequence[date]) -> DataFrame:
    """The clean rows of some days."""
    return clean.where(F.col("day").isin(*wanted))
