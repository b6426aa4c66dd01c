"""Embeddings of the last day of the night: silver/clean → vectors, as one version for the ranker, in Delta, in Feast.

spark-submit jobs/batch/embeddings.py --home .home --date 2026-11-20
"""

import sys
from typing import Any

import httpx
from pyspark.sql import SparkSession

from foryou.lake.embedding_night import learn, models, publish_day
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.feast_push import publish_to_feast
from foryou.lake.job import Arguments, run
from foryou.lake.vector_version import current


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """Reads four weeks, writes one version; people's vectors go to the online store where there is one."""
    lake, day = arguments.lake, arguments.last
    learnt = learn(spark, spark.read.format("delta").load(lake.clean), day, EmbeddingRules.load())
    if learnt is None:
        return {"rows": 0, "version": None}
    version = publish_day(spark, lake, learnt)
    rows = {name: table.num_rows for name, table in learnt.tables.named().items()}
    pushed = 0
    if arguments.store and version == current(models(lake)):
        with httpx.Client(base_url=arguments.store, timeout=60, transport=arguments.patient()) as store:
            pushed = publish_to_feast(store, models(lake), version)
    return {"rows": sum(rows.values()), "version": version, "pushed": pushed, **rows, "metrics": learnt.metrics}


if __name__ == "__main__":
    run("embeddings", sys.argv[1:], __doc__, work)
