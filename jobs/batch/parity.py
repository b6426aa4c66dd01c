"""Speed against batch, tile by tile: which tiles differ, and why.

spark-submit jobs/batch/parity.py --home .home --date 2026-11-20 --kafka … --registry …
"""

import sys
import time
from typing import Any

from pyspark.sql import SparkSession

from foryou.features.definitions import VIEWS
from foryou.lake.clean import overwrite
from foryou.lake.days import span
from foryou.lake.job import Arguments, run
from foryou.lake.layers import Batch, lived
from foryou.lake.parity import Moment, compare, summaries, summary_rows, totals
from foryou.lake.speed_topics import SETTLES_MS, days_held, read


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """The days of the night that the speed layer lived, and whose verdicts Kafka still holds."""
    if arguments.kafka is None or arguments.registry is None:
        sys.exit("parity: --kafka and --registry are needed")
    lake, views = arguments.lake, list(VIEWS.values())
    asked = span(arguments.first, arguments.last)
    wanted = days_held(arguments.kafka, lived(spark, lake, asked))
    if not wanted:
        return totals([]) | {"days": 0, "days_left_out": len(asked)}
    now = time.time_ns() // 1_000_000
    speed, kept = read(spark, lake, views, wanted[0], arguments.kafka, arguments.registry)
    found = compare(speed, Batch.of(spark, lake, views, wanted), views, wanted, Moment(now, now - SETTLES_MS))
    told = summaries(found)
    overwrite(found.differences, lake.gold("parity"), wanted)
    overwrite(summary_rows(spark, told), lake.gold("parity_summary"), wanted)
    for table in kept:
        table.unpersist()
    return totals(told) | {"days": len(wanted), "days_left_out": len(asked) - len(wanted)}


if __name__ == "__main__":
    run("parity", sys.argv[1:], __doc__, work)
