"""POST → new value read through Feast by another process, under an open-loop load.

    python -m bench.freshness --rate 1000 --seconds 60 --warm-up 60

reads FORYOU_HOME and FORYOU_PORT_OFFSET as the stack does, which must be up. A probe likes a video and asks Feast's
HTTP server for its count of likes until it has grown; time runs from before the POST. The warm-up is the same load and
the same probes, printed and not judged: Java compiles Flink's and Kafka's code in the first minute of load after a
start. Exits 1 if the p99 is over the bound, if events were refused, or if the load could not be kept up.
"""

import argparse
import asyncio
import json
import math
import os
import random
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import uvloop

from foryou.cli.feature_reader import FeatureReader
from foryou.cli.probes import Arrive, freshness
from foryou.cli.simulate import Stack, StackDown, answers, remembered
from foryou.service.settings import Settings
from foryou.simulator.catalogue import Catalogue, grow
from foryou.simulator.load import Outcome, offer, taps
from foryou.simulator.percentiles import Percentiles, percentiles
from foryou.simulator.phone import HttpPhone
from foryou.simulator.tally import Tally

KEPT_UP = 0.99  # of the offered events must have been sent and accepted


@dataclass(frozen=True)
class Freshness:
    """What a bench found; times in ms."""

    rate: float
    seconds: float
    load: Outcome
    ack: Percentiles
    fresh: Percentiles
    probe_failure: str | None

    def complaints(self, bound_ms: float) -> list[str]:
        """What is wrong, in words; nothing when the bound holds."""
        found = []
        if not self.fresh.p99 <= bound_ms:  # NaN, too: nothing was measured
            found.append(f"p99 of freshness is {self.fresh.p99:.0f} ms, over {bound_ms:.0f} ms")
        offered = self.rate * self.seconds
        if self.load.accepted < KEPT_UP * offered:
            found.append(f"{self.load.accepted:,} of {offered:,.0f} offered events were accepted")
        found += [each for each in (self.load.first_failure, self.probe_failure) if each]
        return found


async def measure(stack: Stack, rate: float, seconds: float, probes: int, batch: int) -> Freshness:
    """Loads the stack and probes it. Raises FeaturesUnreadable, OSError."""
    await answers(stack, "collector", "store")
    known = remembered(stack.memory())
    catalogue = grow(known.seed, known.now_ms, known.size) if known else grow(1, time.time_ns() // 1_000_000, 10_000)
    tally = Tally()
    async with AsyncExitStack() as exits:
        loaded = await exits.enter_async_context(stack.door("collector", 32))
        collector = await exits.enter_async_context(stack.door("collector", probes))
        reader = FeatureReader(await exits.enter_async_context(stack.door("store", probes)), stack.app_id)
        arrive = Arrive(stack.settings.secrets().identity, stack.app_id, HttpPhone(collector, collector, tally), reader)
        until = time.monotonic() + seconds
        probing = [asyncio.create_task(_probe(arrive, catalogue, until, each, seconds)) for each in range(probes)]
        make = taps([f"load-{each}" for each in range(2_000)], catalogue.video_id[:20_000], random.Random(1))
        outcome = await offer(loaded, rate, seconds, make, batch)
        found = [value for each in await asyncio.gather(*probing) for value in each]
    return Freshness(rate, seconds, outcome, outcome.latencies(), percentiles(found), tally.first_failure)


async def _probe(arrive: Arrive, catalogue: Catalogue, until: float, number: int, seconds: float) -> list[float]:
    await asyncio.sleep(min(1.0, seconds / 10) + number * 0.13)  # the load runs first; probes do not march in step
    return await freshness(arrive(f"freshness-{number}"), catalogue, until, every_s=0.2)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1_000, help="events per second in the background")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=0, help="seconds of load before it, printed and not judged")
    parser.add_argument("--probes", type=int, default=2, help="visitors who probe, one like at a time each")
    parser.add_argument("--batch", type=int, default=10, help="events to a post of the load")
    parser.add_argument("--bound-ms", type=float, default=1_000, help="the p99 that must hold")
    asked = parser.parse_args()
    stack = Stack.of(Settings.load(os.environ))
    print("python -m bench.freshness " + " ".join(sys.argv[1:]), flush=True)
    try:
        if asked.warm_up:
            print(f"warm-up, {asked.warm_up:.0f} s:")
            _tell(uvloop.run(measure(stack, asked.rate, asked.warm_up, asked.probes, asked.batch)))
            print(f"measured, {asked.seconds:.0f} s:", flush=True)
        found = uvloop.run(measure(stack, asked.rate, asked.seconds, asked.probes, asked.batch))
    except StackDown as error:
        sys.exit(str(error))
    complaints = found.complaints(asked.bound_ms)
    _tell(found)
    print(json.dumps({"fresh": _finite(asdict(found.fresh)), "ack": _finite(asdict(found.ack)), "ok": not complaints}))
    for complaint in complaints:
        print(f"FAILED: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def _tell(found: Freshness) -> None:
    for name, each in (("POST → feature, ms", found.fresh), ("POST → ack, ms   ", found.ack)):
        print(f"{name}  p50 {each.p50:.1f}  p90 {each.p90:.1f}  p99 {each.p99:.1f}  max {each.max:.1f}  n {each.count}")
    print(f"load: {found.load.accepted / found.load.seconds:,.0f} events/s accepted, {found.load.missed:,} not sent")


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: round(value, 2) if math.isfinite(value) else None for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
