"""Trends of the last day of the night, and of days of the week before it that were made again. Each reads two weeks,
and a
backfill of months has no use for what was rising then; for an older day run this job with its --date.

spark-submit jobs/batch/trends.py --home .home --date 2026-11-20
"""

import sys
from datetime import timedelta
from typing import Any

from pyspark.sql import SparkSession

from foryou.lake import days
from foryou.lake.job import Arguments, run
from foryou.lake.partitions import replace_day
from foryou.lake.trends import trends

WEEK = timedelta(days=7)


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """gold/trends, day by day: each reads two weeks."""
    lake = arguments.lake
    span = set(days.span(arguments.first, arguments.last))
    again = [day for day in arguments.made() if day not in span and day > arguments.last - WEEK]
    wanted = [*again, arguments.last]
    clean, content = (spark.read.format("delta").load(path) for path in (lake.clean, lake.content))
    for day in wanted:
        replace_day(trends(clean, content, day), lake.gold("trends"), day)
    made = spark.read.format("delta").load(lake.gold("trends")).where(f"day = DATE'{wanted[-1].isoformat()}'")
    return {"rows": made.count(), "days": len(wanted)}


if __name__ == "__main__":
    run("trends", sys.argv[1:], __doc__, work)
