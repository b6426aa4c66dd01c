"""The training set of the days, and of the day before each: its label window reaches in.

spark-submit jobs/batch/training.py --home .home --date 2026-11-20
"""

import sys
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from foryou.lake import days
from foryou.lake.clean import overwrite
from foryou.lake.job import Arguments, run
from foryou.lake.training import labelled, with_past, with_the_day_before


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """gold/training, by day of served_at."""
    lake = arguments.lake
    wanted = with_the_day_before({*days.span(arguments.first, arguments.last), *arguments.wanted()})
    served = spark.read.format("delta").load(lake.served)
    if served.where(F.col("day").isin(*wanted)).isEmpty():
        return {"rows": 0, "days": 0}
    rows = labelled(spark, lake, wanted).persist()
    overwrite(with_past(rows, lake), lake.gold("training"), wanted)
    made = spark.read.format("delta").load(lake.gold("training")).where(F.col("day").isin(*wanted))
    outcomes = {row["outcome"]: row["count"] for row in made.groupBy("outcome").count().orderBy("outcome").collect()}
    return {"rows": sum(outcomes.values()), "days": len(wanted), "outcomes": outcomes}


if __name__ == "__main__":
    run("training", sys.argv[1:], __doc__, work)
