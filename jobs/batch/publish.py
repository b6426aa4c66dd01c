"""Into the online store: tiles that end before the cut-off, of the days that were made again since they were published.

spark-submit jobs/batch/publish.py --home .home --date 2026-11-20 --complete-through 1795219200000 --kafka …
--registry …
"""

import sys
from typing import Any

from pyspark.sql import SparkSession

from foryou.contract.codec import Encoder, Registry
from foryou.features.compilers.avro import tile_schema
from foryou.features.cutoff import marker
from foryou.features.definitions import VIEWS
from foryou.features.spec import View
from foryou.lake import days
from foryou.lake.job import Arguments, run
from foryou.lake.publish import claim, publish, published


def work(spark: SparkSession, arguments: Arguments) -> dict[str, Any]:
    """Every view that is read beyond the lateness bound."""
    if arguments.kafka is None or arguments.registry is None:
        sys.exit("publish: --kafka and --registry are needed")
    lake = arguments.lake
    claimed = claim(lake, arguments.complete_through, arguments.last)
    cutoff = claimed.cutoff
    wanted = [day for day in days.marked(lake.unpublished) if days.start_of(day) + days.DAY_MS <= cutoff]
    registry, sent = Registry(arguments.registry, transport=arguments.patient()), {}
    for view in filter(published, VIEWS.values()):
        encode = registry.encoder(f"{view.topic}-value", tile_schema(view))
        schema_id = registry.register(f"{view.topic}-value", tile_schema(view))

        def mark(partition: int, partitions: int, view: View = view, encode: Encoder = encode) -> tuple[str, bytes]:
            key, record = marker(view, partition, partitions, cutoff)
            return key, encode(record)

        sent[view.full_name] = publish(spark, lake, view, wanted, claimed, arguments.kafka, schema_id, mark).tiles
    days.unmark(lake.unpublished, wanted)
    return {"rows": sum(sent.values()), "days": len(wanted), "cutoff": cutoff, "views": sent}


if __name__ == "__main__":
    run("publish", sys.argv[1:], __doc__, work)
