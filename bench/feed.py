"""Simulated enjoyment of our feed against random and popular videos, several seeds, 95 % intervals.

    python -m bench.feed --seeds 1 2 3 4 5 --people 100 --seconds 60

reads FORYOU_HOME and FORYOU_PORT_OFFSET as the stack does, which must be up. Each seed brings other people, who react
by their own seed, to the same catalogue. Intervals over seeds (Student's t): what one seed's people share is counted.
Exits 1 unless our feed beats both others in every seed, or if a feed failed.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from foryou.cli.report import report_console
from foryou.cli.simulate import CATALOGUE_SEED, Stack, StackDown, answers, bars, ensure_catalogue, in_ms, world_of
from foryou.service.settings import Settings
from foryou.simulator.arms import Arms, compare
from foryou.simulator.catalogue import SIZE
from foryou.simulator.people import World
from foryou.simulator.percentiles import Percentiles, percentiles
from foryou.simulator.phone import HttpPhone
from foryou.simulator.population import choose
from foryou.simulator.run import Plan, arrive, live
from foryou.simulator.tally import Tally

T_975 = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # by degrees of freedom


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and half the width of its 95 % interval."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """By Student's t; at most ten values. One value has no interval."""
        if len(values) < 2:
            return cls(values[0], math.nan)
        error = statistics.stdev(values) / math.sqrt(len(values))
        return cls(statistics.fmean(values), T_975[len(values) - 1] * error)


@dataclass(frozen=True)
class Seed:
    """One seed's people."""

    seed: int
    arms: Arms
    feeds: Percentiles
    failures: int

    @property
    def beaten(self) -> bool:
        """Ours beats both others."""
        return self.arms.ours.mean > max(self.arms.random.mean, self.arms.popular.mean)


async def one_seed(stack: Stack, world: World, seed: int, people: int, seconds: float, rate: float) -> Seed:
    """Lets one seed's people live on the stack."""
    tally = Tally()
    async with stack.door("collector") as collector, stack.door("ranker") as ranker:
        phone = HttpPhone(collector, ranker, tally)
        chosen = choose(world.population, people, seed)
        await arrive(world, chosen, collector, phone, time.time_ns() // 1_000_000)
        diary = await live(world, chosen, seed, phone, Plan(seconds=seconds, rate=rate))
    return Seed(seed, compare(world, diary.watched, seed), percentiles(tally.feed_ms), tally.feed_failures)


async def every_seed(stack: Stack, asked: argparse.Namespace, console: Console) -> list[Seed]:
    """One seed after the other."""
    await answers(stack, "collector", "ranker")
    with bars(console) as progress:
        now_ms = time.time_ns() // 1_000_000
        catalogue, _ = await ensure_catalogue(stack, CATALOGUE_SEED, asked.videos, now_ms, progress)
        world = world_of(catalogue)
        bar = progress.add_task("seeds", total=len(asked.seeds))
        found = []
        for seed in asked.seeds:
            found.append(await one_seed(stack, world, seed, asked.people, asked.seconds, asked.rate))
            progress.advance(bar)
    return found


def table_of(found: Sequence[Seed]) -> Table:
    """Seeds by row, arms by column, the interval below."""
    table = Table(title="Simulated enjoyment, 0 to 1")
    for name in ("seed", "ours", "first page", "learnt", "popular", "random"):
        table.add_column(name, justify="right")
    rows = [
        (arms.ours, arms.ours_first_page, arms.ours_learnt, arms.popular, arms.random)
        for arms in (each.arms for each in found)
    ]
    for each, row in zip(found, rows, strict=True):
        table.add_row(str(each.seed), *(f"{arm.mean:.3f} ± {arm.error:.3f}" for arm in row))
    table.add_section()
    intervals = [Interval.of([arm.mean for arm in column]) for column in zip(*rows, strict=True)]
    table.add_row("95 %", *(f"{each.mean:.3f} ± {each.half:.3f}" for each in intervals))
    return table


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--videos", type=int, default=SIZE)
    asked = parser.parse_args()
    console = report_console()
    try:
        found = asyncio.run(every_seed(Stack.of(Settings.load(os.environ)), asked, console))
    except StackDown as error:
        sys.exit(str(error))
    console.print("python -m bench.feed " + " ".join(sys.argv[1:]))
    console.print(table_of(found))
    for versus in ("popular", "random"):
        lead = Interval.of([each.arms.ours.mean - getattr(each.arms, versus).mean for each in found])
        console.print(f"ours − {versus}, same people: {lead.mean:+.3f} ± {lead.half:.3f}")
    for each in found:
        console.print(f"feed, seed {each.seed}: {in_ms(each.feeds)}")
    print(json.dumps({each.seed: asdict(each.arms) for each in found}))
    return 0 if all(each.beaten and not each.failures for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
