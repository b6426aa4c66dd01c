"""Writing a day of a Delta table: the whole of it, or nothing."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame


def replace_day(rows: DataFrame, path: str, day: date) -> None:
    """Puts `rows` (all of this `day`) in the place of the day's partition; makes the table when there is none."""
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"day = DATE'{day.isoformat()}'")
        .partitionBy("day")
        .save(path)
    )
