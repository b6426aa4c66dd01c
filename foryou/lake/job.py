"""What every job of the night shares: its arguments, its session, its last line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from foryou.lake import days
from foryou.lake.away import Part, PartAway, needing
from foryou.lake.night import STEPS
from foryou.lake.patience import A_MINUTE, Patience, Patient
from foryou.lake.session import session
from foryou.lake.tables import Lake


@dataclass(frozen=True)
class Arguments:
    """What `foryou nightly` tells a job. Kafka and the registry are None for a night on the lake alone."""

    lake: Lake
    home: Path
    first: date
    last: date
    complete_through: int
    kafka: str | None
    registry: str | None
    store: str | None = None
    analytics: str | None = None
    patience: Patience = A_MINUTE

    def patient(self) -> Patient:
        """For a client of a part of the stack: waits where that is being started again."""
        return Patient(self.patience)

    def wanted(self) -> list[date]:
        """The days to make: those that are marked, up to the last one."""
        return [day for day in days.marked(self.lake.dirty) if day <= self.last]

    def made(self) -> list[date]:
        """The days of the night, and those made again that the reports do not have yet."""
        again = [day for day in days.marked(self.lake.made) if day <= self.last]
        return sorted({*again, *days.span(self.first, self.last)})

    def needing(self, step: str) -> AbstractContextManager[None]:
        """Around a step: when it fails because a part of the stack is away, PartAway says which."""
        on_topics = any(each.kafka for each in STEPS if each.name == step)
        kafka = Part("Kafka", self.kafka) if self.kafka and on_topics else None
        named = {"the registry": self.registry, "the store": self.store, "analytics (ClickHouse)": self.analytics}
        others = [Part(name, address) for name, address in named.items() if address]
        return needing(kafka, others, patience=self.patience)


def parse(argv: Sequence[str], doc: str | None, patience: Patience = A_MINUTE) -> Arguments:
    """From the command line. Exits with a sentence on what is wrong."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="FORYOU_HOME: the lake is in its folder `lake`")
    parser.add_argument("--date", type=date.fromisoformat, help="the day (UTC), YYYY-MM-DD")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, help="instead of --date: the first day")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, help="and the last one")
    parser.add_argument(
        "--complete-through", type=int, default=0, help="bronze has all that was received before, UTC ms"
    )
    parser.add_argument("--kafka", help="bootstrap servers; without, the job works on the lake alone")
    parser.add_argument("--registry", help="the registry's Confluent API")
    parser.add_argument("--store", help="URL of the online store's process")
    parser.add_argument("--analytics", help="URL of the analytics process")
    args = parser.parse_args(argv)
    first, last = args.first or args.date, args.last or args.date
    if first is None or last is None or first > last:
        parser.error("give --date, or --from and --to in order")
    return Arguments(
        lake=Lake(args.home / "lake"),
        home=args.home,
        first=first,
        last=last,
        complete_through=args.complete_through,
        kafka=args.kafka,
        registry=args.registry,
        store=args.store,
        analytics=args.analytics,
        patience=patience,
    )


def run(
    name: str,
    argv: Sequence[str],
    doc: str | None,
    work: Callable[[SparkSession, Arguments], dict[str, Any]],
    patience: Patience = A_MINUTE,
) -> None:
    """Runs a job: its last line of output is what it wrote, as JSON. Exits with a sentence where a part is away."""
    arguments = parse(argv, doc, patience)
    spark = session(f"foryou {name}")
    try:
        with arguments.needing(name):
            wrote = work(spark, arguments)
    except PartAway as away:
        sys.exit(f"{name}: {away}. `foryou up` starts it; then run this again.")
    finally:
        spark.stop()
    print(json.dumps(wrote), flush=True)
