"""Bronze: what the topics and the inbox hold, as it came.

spark-submit jobs/batch/bronze.py --home .home --date 2026-11-20 --kafka 127.0.0.1:9092 --registry http://127.0.0.1:8081/apis/ccompat/v7
"""

import sys
from typing import Any

from pyspark.sql import SparkSession

from foryou.lake import bronze
from foryou.lake.job import Arguments, run


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """Takes both sources."""
    lake = arguments.lake
    bronze.ensure(spark, lake)
    if arguments.kafka:
        bronze.from_kafka(spark, lake, arguments.kafka)
    imports = bronze.from_inbox(spark, lake)
    if arguments.registry:
        bronze.keep_schemas(spark, lake, arguments.registry, arguments.patient())
    rows = bronze.counts(spark, lake)
    return {"rows": sum(rows.values()), "imports": len(imports), "topics": rows}


if __name__ == "__main__":
    run("bronze", sys.argv[1:], __doc__, work)
