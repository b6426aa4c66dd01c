"""Rows that are few: worked out once, and sent to every task whole instead of moving what they are joined with."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

FEW = 500_000


def small(rows: DataFrame) -> DataFrame:
    """Works rows out; where they are few, a join with them moves nothing else. Where they are not, it is any join."""
    found = rows.localCheckpoint()
    return f.broadcast(found) if found.count() <= FEW else found
