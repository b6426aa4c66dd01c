"""To ClickHouse: the days that were made again, raw rows and rollups together.

spark-submit jobs/batch/analytics.py --home .home --date 2026-11-20 --complete-through 1795219200000
"""

import sys
from typing import Any

import httpx
from pyspark.sql import SparkSession

from foryou.lake import days
from foryou.lake.hand_over import hand_over
from foryou.lake.job import Arguments, run
from foryou.service.settings import Settings

TIMEOUT_S = 1_800.0


def work(_: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """Lays the days' files down and asks the analytics process to take them, one day at a time."""
    if arguments.analytics is None:
        sys.exit("analytics: --analytics is needed")
    lake, wanted, rows = arguments.lake, arguments.made(), 0
    key = Settings(home=arguments.home).clickhouse_key
    writer = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": key}
    with httpx.Client(
        base_url=arguments.analytics, timeout=TIMEOUT_S, headers=writer, transport=arguments.patient()
    ) as http:
        for day in wanted:
            if not hand_over(lake, day):
                continue
            asked = {"day": day.isoformat(), "cut_off": str(arguments.complete_through)}
            answer = http.post("/admin/replace", params=asked)
            if answer.status_code != 200:
                sys.exit(f"analytics: {day}: {answer.status_code} {answer.text[:500]}")
            rows += sum(answer.json()["rows"].values())
    days.unmark(lake.made, wanted)
    return {"rows": rows, "days": len(wanted)}


if __name__ == "__main__":
    run("analytics", sys.argv[1:], __doc__, work)
