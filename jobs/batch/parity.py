"""Speed against batch, tile by tile: which tiles differ, and why.

spark-submit jobs/batch/parity.py --home .home --date 2026-11-20 --kafka … --registry …
"""

import sys
import time
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from foryou.features.definitions import VIEWS
from foryou.lake.clean import overwrite
from foryou.lake.days import span
from foryou.lake.job import Arguments, run
from foryou.lake.layers import Batch, lived, only_imported
from foryou.lake.parity import Moment, compare, not_compared, summaries, summary_rows, totals
from foryou.lake.parity_days import left_out
from foryou.lake.speed_topics import SETTLES_MS, days_held, read


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """The days of the night that the speed layer lived, and whose verdicts Kafka still holds. Those that were only
    imported are named, and those that are left out."""
    if arguments.kafka is None or arguments.registry is None:
        sys.exit("parity: --kafka and --registry are needed")
    lake, views = arguments.lake, list(VIEWS.values())
    asked = span(arguments.first, arguments.last)
    live = lived(spark, lake, asked)
    wanted = days_held(arguments.kafka, live)
    unseen = only_imported(spark.read.format("delta").load(lake.events), asked)
    past = [day for day in unseen if day not in live]
    told = not_compared(views, past)
    kept: list[DataFrame] = []
    if wanted:
        now = time.time_ns() // 1_000_000
        transport = arguments.patient()
        speed, kept = read(spark, lake, views, wanted[0], arguments.kafka, arguments.registry, transport)
        found = compare(speed, Batch.of(spark, lake, views, wanted), views, wanted, Moment(now, now - SETTLES_MS))
        told += summaries(found)
        overwrite(found.differences, lake.gold("parity"), wanted)
    if wanted or past:
        overwrite(summary_rows(spark, told), lake.gold("parity_summary"), [*wanted, *past], widen=True)
    for table in kept:
        table.unpersist()
    seen = [day for day in wanted if day not in unseen]
    without = left_out(asked, live, {*wanted, *past})
    only = len({*wanted, *past}) - len(seen)
    counted = {"days": len(seen), "days_only_imported": only, "days_left_out": len(without)}
    return totals(told) | counted | {"left_out": without}


if __name__ == "__main__":
    run("parity", sys.argv[1:], __doc__, work)
