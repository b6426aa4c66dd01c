"""Steps of a night one after the other in one Spark: what `foryou nightly` submits.

spark-submit jobs/batch/night.py --steps bronze,silver,tiles --home .home --date 2026-11-20

Prints a line of JSON when a step is done: {"done": name, "wrote": …}, or when it lacked a part of the stack:
{"away": sentence}. A Spark that has just started compiles for most
of a minute; a new one per step would do that nine times. Each step is a job of its own beside this, too.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from foryou.lake.away import PartAway
from foryou.lake.job import parse
from foryou.lake.patience import A_MINUTE, Patience
from foryou.lake.session import session
from foryou.service.scheduling import end_with_parent


def main(argv: Sequence[str], patience: Patience = A_MINUTE) -> None:
    """Runs the steps; what one raises ends the rest."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--steps", required=True)
    asked, rest = parser.parse_known_args(argv)
    arguments = parse(rest, __doc__, patience)
    end_with_parent()  # the JVM's: a night that was killed leaves nobody who goes on writing
    spark = session("foryou nightly")
    try:
        for name in asked.steps.split(","):
            with arguments.needing(name):
                wrote = importlib.import_module(f"jobs.batch.{name}").work(spark, arguments)
            spark.catalog.clearCache()
            print(json.dumps({"done": name, "wrote": wrote}), flush=True)
    except PartAway as away:
        print(json.dumps({"away": str(away)}), flush=True)
        raise  # the log has all of it
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
