"""Delta tables by day: made empty, and a day written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession


def create(spark: SparkSession, path: str, columns: Mapping[str, str]) -> None:
    """An empty table of these columns and their SQL types, where there is none.

    Not by DeltaTable.createIfNotExists: that fails for ever after a kill between the log's folder and its first commit.
    """
    none = spark.createDataFrame([], ", ".join(f"`{name}` {type_}" for name, type_ in columns.items()))
    none.write.format("delta").mode("ignore").partitionBy("day").save(path)


def replace_day(rows: DataFrame, path: str, day: date) -> None:
    """Puts `rows` (all of this `day`) in the place of the day's partition; makes the table when there is none."""
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"day = DATE'{day.isoformat()}'")
        .partitionBy("day")
        .save(path)
    )
