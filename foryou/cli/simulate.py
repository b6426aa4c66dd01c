"""`foryou simulate`: made-up people on a real stack."""

import asyncio
import json
import shlex
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from foryou.cli.stack import live_settings
from foryou.service.settings import Settings
from foryou.simulator.catalogue import DAY_MS, LEAST, SIZE, Catalogue, grow
from foryou.simulator.history import Plan as Past
from foryou.simulator.history import write_history
from foryou.simulator.people import World
from foryou.simulator.percentiles import Percentiles
from foryou.simulator.phone import HttpPhone
from foryou.simulator.population import choose, settle
from foryou.simulator.run import Plan, PublishFailed, arrive, live, publish
from foryou.simulator.tally import Tally
from foryou.simulator.truth import Truth
from foryou.simulator.wire import Door, NotLoopback

CONNECTIONS = 16
CATALOGUE_SEED = 1
STALE_MS = 12 * 3_600_000  # an older catalogue has no fresh videos left: published again with the clock of today

app = typer.Typer(help="Made-up people who use a real stack.", invoke_without_command=True, add_completion=False)


@dataclass(frozen=True)
class Published:
    """What was published to an app: enough to grow the same catalogue again."""

    seed: int
    size: int
    now_ms: int


@dataclass(frozen=True)
class Stack:
    """Where the stack listens and with which key we speak."""

    settings: Settings
    write_key: str
    app_id: str

    @classmethod
    def of(cls, settings: Settings) -> "Stack":
        """With the development key. Raises StackDown when there is none any more."""
        for write_key, app_id in settings.secrets().write_keys.items():
            return cls(settings, write_key, app_id)
        raise StackDown("The development key is revoked: `foryou keys new --development` makes another.")

    def door(self, process: str, connections: int = CONNECTIONS) -> Door:
        """The door of a process. Raises NotLoopback."""
        return Door(self.settings.url(process), connections, self.write_key)

    def memory(self) -> Path:
        """Where we remember what was published."""
        return self.settings.home / "simulator" / f"catalogue-{self.app_id}.json"


class StackDown(Exception):
    """A process of the stack does not answer; the message says how to mend that."""


async def answers(stack: Stack, *processes: str) -> None:
    """Returns when each process is healthy now. Raises StackDown."""
    for process in processes:
        try:
            async with stack.door(process, 1) as door:
                answer = await door.get("/healthz")
        except OSError as error:
            where = stack.settings.url(process)
            raise StackDown(f"The {process} does not answer at {where}: start the stack with `foryou up`.") from error
        if answer.status != 200:
            said = answer.body[:200].decode("utf-8", "replace")
            raise StackDown(f"The {process} is not ready ({said}): see `foryou status`.")


def remembered(path: Path) -> Published | None:
    """What was published before; None if nothing, or if the note is not readable."""
    try:
        return Published(**json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


async def ensure_catalogue(
    stack: Stack, seed: int, size: int, now_ms: int, progress: Progress
) -> tuple[Catalogue, int]:
    """The published catalogue and how many videos had to be sent: none when the stack has it and it is not stale."""
    await answers(stack, "collector")
    before = remembered(stack.memory())
    fresh = before is not None and (before.seed, before.size) == (seed, size) and now_ms - before.now_ms < STALE_MS
    catalogue = await asyncio.to_thread(grow, seed, before.now_ms if fresh and before else now_ms, size)
    if fresh:
        return catalogue, 0
    bar = progress.add_task("publishing videos", total=len(catalogue))
    async with stack.door("collector", 4) as door:
        sent = await publish(door, catalogue.all_published(), 4, lambda done: progress.advance(bar, done))
    stack.memory().parent.mkdir(parents=True, exist_ok=True)
    stack.memory().write_text(json.dumps(asdict(Published(seed, size, catalogue.now_ms))), "utf-8")
    return catalogue, sent


def bars(console: Console) -> Progress:
    """Progress as every command of ours shows it."""
    return Progress(
        TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def world_of(catalogue: Catalogue) -> World:
    """The world around a catalogue; its people follow from the same seed."""
    population = settle(catalogue.seed)
    return World(catalogue, population, Truth(population, catalogue))


@app.callback()
def simulate(
    context: typer.Context,
    people: Annotated[int, typer.Option(min=1, help="how many people")] = 100,
    seconds: Annotated[float, typer.Option(min=1, help="how long they live")] = 60.0,
    minutes: Annotated[float, typer.Option(min=0, help="the same in minutes; wins over --seconds")] = 0.0,
    seed: Annotated[int, typer.Option(help="who comes and how they react")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="events per second, all people together, at most")] = 400.0,
    videos: Annotated[int, typer.Option(min=LEAST, help="size of the catalogue; KuaiRand's own are the least")] = SIZE,
) -> None:
    """Lets people live on the stack that is up: feeds, watches, likes, skips, leaves, comes back."""
    if context.invoked_subcommand is not None:
        return
    console = Console()
    duration = minutes * 60 if minutes else seconds
    try:
        asyncio.run(_simulate(console, Stack.of(live_settings()), people, duration, seed, rate, videos))
    except (NotLoopback, PublishFailed, StackDown, ValueError) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(1) from error


async def _simulate(
    console: Console, stack: Stack, people: int, seconds: float, seed: int, rate: float, videos: int
) -> None:
    await answers(stack, "collector", "ranker")
    tally = Tally()
    with bars(console) as progress:
        catalogue, _ = await ensure_catalogue(stack, CATALOGUE_SEED, videos, _now_ms(), progress)
        world = world_of(catalogue)
        chosen = choose(world.population, people, seed)
        async with stack.door("collector") as collector, stack.door("ranker") as ranker:
            phone = HttpPhone(collector, ranker, tally)
            await arrive(world, chosen, collector, phone, _now_ms())
            bar = progress.add_task("people live (seconds)", total=int(seconds))
            ticking = asyncio.create_task(tick(progress, bar, seconds))
            diary = await live(world, chosen, seed, phone, Plan(seconds=seconds, rate=rate))
            ticking.cancel()
            progress.update(bar, completed=int(seconds))
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("visits", diary.visits),
        ("pages", diary.pages),
        ("videos watched", len(diary.watched) + diary.strangers),
        ("events sent", tally.sent),
        ("accepted", tally.accepted),
        (f"rejected (broken on purpose: {tally.broken_made:,})", tally.rejected),
        ("sent twice on purpose", tally.duplicates_made),
        ("days old on purpose", tally.late_made),
        ("no answer", tally.unsure),
        ("feeds failed", tally.feed_failures),
    ):
        table.add_row(name, f"{value:,}")
    console.print(table)
    console.print(f"ack  {in_ms(tally.acks())}\nfeed {in_ms(tally.feeds())}")
    if tally.first_failure:
        console.print(f"[yellow]first failure: {tally.first_failure}")


@app.command()
def catalogue(
    seed: Annotated[int, typer.Option(help="which catalogue")] = CATALOGUE_SEED,
    videos: Annotated[int, typer.Option(min=LEAST, help="how many videos; KuaiRand's own are the least")] = SIZE,
) -> None:
    """Publishes the catalogue through the collector, once: what the stack has already is not sent again."""
    console = Console()
    begin = time.perf_counter()
    try:
        with bars(console) as progress:
            stack = Stack.of(live_settings())
            grown, sent = asyncio.run(ensure_catalogue(stack, seed, videos, _now_ms(), progress))
    except (NotLoopback, PublishFailed, StackDown, ValueError) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(1) from error
    done = f"published {sent:,} videos in {time.perf_counter() - begin:.1f} s" if sent else "already published"
    console.print(f"{done}: {len(grown):,} videos, {len(grown.creator_id):,} creators, seed {seed}")


@app.command()
def history(
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="the first day after it", show_default=False)],
    out: Annotated[Path, typer.Option(help="a new folder", show_default=False)],
    weeks: Annotated[float, typer.Option(help="how long")] = 3.0,
    people: Annotated[int, typer.Option(min=1, help="how many people")] = 2_000,
    seed: Annotated[int, typer.Option(help="who comes and how they react")] = 1,
    visits: Annotated[float, typer.Option(min=0.01, help="a day, of the most active")] = 1.1,
    videos: Annotated[int, typer.Option(min=LEAST, help="size of the catalogue; KuaiRand's own are the least")] = SIZE,
) -> None:
    """Writes weeks of history as files for foryou import. Needs no stack.

    The same people, videos and reactions as live; the pages are a mixture of popular, of the person's
    genres, and chance. Duplicates, late and lost events, wrong clocks and bots are in it, counted in
    history.json.
    """
    console = Console()
    begin = time.perf_counter()
    plan = Past(
        int(until.replace(tzinfo=UTC).timestamp()) * 1_000 // DAY_MS * DAY_MS, weeks, people, seed, videos, visits
    )
    try:
        with bars(console) as progress:
            bar = progress.add_task("days", total=len(plan.days))
            told = write_history(out, plan, lambda day: progress.update(bar, completed=day))
    except (OSError, ValueError) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(1) from error
    seconds = time.perf_counter() - begin
    made = told.made
    console.print(
        f"{told.events:,} events in {seconds:.0f} s ({told.events / seconds:,.0f} a second): {made.twice:,} twice, "
        f"{made.late:,} later than a day, {made.lost:,} lost; {len(told.bots)} bots, "
        f"{len(told.wrong_clocks)} wrong clocks.\n"
        f"Next: {imports_of(out)}",
        soft_wrap=True,
        highlight=False,
    )


def imports_of(out: Path) -> str:
    """What imports a history: a line for a shell."""
    folder = shlex.quote(f"{out}")
    return f"foryou import {folder}/videos.parquet {folder}/people.parquet && foryou import {folder}/events-*.parquet"


async def tick(progress: Progress, bar: "object", seconds: float) -> None:
    """Moves a bar with the wall clock."""
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        progress.advance(bar, 1)  # type: ignore[arg-type]


def in_ms(latency: Percentiles) -> str:
    """Percentiles in words."""
    return f"p50 {latency.p50:.1f} ms · p99 {latency.p99:.1f} ms · max {latency.max:.1f} ms ({latency.count:,} answers)"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
