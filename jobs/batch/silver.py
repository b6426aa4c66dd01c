"""Silver: bronze decoded, one row per event; then the clean rows of the days that changed.

spark-submit jobs/batch/silver.py --home .home --date 2026-11-20
"""

import sys
from typing import Any

from pyspark.sql import SparkSession

from foryou.lake import silver
from foryou.lake.clean import Silver, clean, overwrite
from foryou.lake.job import Arguments, run


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """Refines, then makes the clean rows."""
    lake = arguments.lake
    silver.refine(spark, lake)
    wanted = arguments.wanted()
    if wanted:
        overwrite(clean(Silver.of(spark, lake, wanted)), lake.clean, wanted)
    read = spark.read.format("delta").load
    rows = read(lake.events).count()
    unreadable = read(lake.unreadable).count()
    return {"rows": rows, "days": len(wanted), "unreadable": unreadable}


if __name__ == "__main__":
    run("silver", sys.argv[1:], __doc__, work)
