"""Tiles of the days that changed, by the definitions that the stream runs on.

spark-submit jobs/batch/tiles.py --home .home --date 2026-11-20
"""

import sys
from typing import Any

from pyspark.sql import SparkSession

from foryou.features.definitions import VIEWS
from foryou.lake import days
from foryou.lake.clean import overwrite
from foryou.lake.job import Arguments, run
from foryou.lake.tiles import days_of, tiles


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """All views; the marks go over from made to unpublished when all of them are written."""
    lake, wanted = arguments.lake, arguments.wanted()
    if not wanted:
        return {"rows": 0, "days": 0}
    clean = days_of(spark.read.format("delta").load(lake.clean), wanted)
    rows = {}
    for view in VIEWS.values():
        overwrite(tiles(view, clean), lake.tiles(view), wanted)
        rows[view.full_name] = days_of(spark.read.format("delta").load(lake.tiles(view)), wanted).count()
    days.mark(lake.unpublished, wanted)
    days.mark(lake.made, wanted)
    days.unmark(lake.dirty, wanted)
    return {"rows": sum(rows.values()), "days": len(wanted), "views": rows}


if __name__ == "__main__":
    run("tiles", sys.argv[1:], __doc__, work)
