"""`foryou nightly`: the batch half of the loop, step by step in one Spark; goes on where it was cut off."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from foryou.cli.night_summary import summary
from foryou.cli.stack import live_settings, say_java, settings_or_exit
from foryou.lake import days, night
from foryou.lake.night import STEPS, Done, Night, Step
from foryou.lake.night_lock import alone
from foryou.lake.parity_causes import WRONG
from foryou.lake.publish import IN_FLIGHT_MS
from foryou.lake.session import submit_settings
from foryou.lake.tables import Lake
from foryou.local import temporary
from foryou.local.home import Home
from foryou.local.jdk import JavaMissing, find_jdk
from foryou.local.lifecycle import runs_here
from foryou.service.scheduling import turn
from foryou.service.settings import REPO, Settings

MOST_DAYS = 400  # at once: a mistyped year would have every day since made again


def _heap(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}[mgMG]", text):
        raise typer.BadParameter(f"{text!r} is no memory: say 4g, or 800m")
    return text


class StepFailed(Exception):
    """A job ended with an error; the message says which, and where its log is, or what to do."""


class StackAway(Exception):
    """A step lacked a part of the stack; the message says which, and at which address."""


def nightly(
    day: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD, UTC; else yesterday", show_default=False)
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="a span of days: its first", show_default=False)] = None,
    last: Annotated[str | None, typer.Option("--to", help="and its last", show_default=False)] = None,
    offline: Annotated[bool, typer.Option("--offline", help="the lake alone: imports, no Kafka, no store")] = False,
    urgent: Annotated[
        bool,
        typer.Option("--urgent", help="take as much of the processors as a part of the stack"),
    ] = False,
    memory: Annotated[str, typer.Option(help="of the Spark driver: 4g, 800m", callback=_heap)] = "4g",
    only: Annotated[
        str | None, typer.Option("--steps", help="some steps, by name, joined by commas", show_default=False)
    ] = None,
) -> None:
    """Recomputes days from the lake and publishes what they say.

    bronze, silver, tiles, trends, embeddings, publish, parity, training, analytics. Days that late events or imports
    have changed are made again, too. Cut off, the same command goes on with the step that it was in; run twice, it
    writes the same rows. Exits 2 when speed and batch differ and no event explains it (`foryou parity`).
    """
    console = Console()
    settings = settings_or_exit() if offline else live_settings()
    span = _span(day, first, last)
    wanted = _steps(only)
    try:
        if not offline:
            _reachable(settings)
        say_java(console)
        with alone(Lake(settings.home / "lake"), span) as lock:
            done = run(Spark(settings, offline, memory, console, lock, urgent), span, wanted)
    except (StepFailed, JavaMissing, BlockingIOError) as error:
        console.print(f"[red]{error}[/]", soft_wrap=True)
        raise typer.Exit(1) from None
    console.print(summary(done))
    today = days.day_of(time.time_ns() // 1_000_000)
    if later := [day for day in days.marked(Lake(settings.home / "lake").dirty) if done.last < day < today]:
        waits = f"{later[0]} has" if len(later) == 1 else f"{len(later)} later days have"
        told = f"{waits} changed, too, and must be made again: `foryou nightly --date {later[-1]}`."
        console.print(told, soft_wrap=True)
    if wrong(done):
        raise typer.Exit(2)


def wrong(done: Night) -> bool:
    """Whether speed and batch differ for a cause that nobody has to live with."""
    parity = done.done.get("parity")
    return parity is not None and any(parity.wrote.get(cause) for cause in WRONG)


def _steps(only: str | None) -> tuple[Step, ...]:
    if only is None:
        return STEPS
    asked, known = only.split(","), [step.name for step in STEPS]
    if unknown := [name for name in asked if name not in known]:
        raise typer.BadParameter(f"no step {', '.join(unknown)}: there are {', '.join(known)}")
    return tuple(step for step in STEPS if step.name in asked)


def _reachable(settings: Settings) -> None:
    """Raises StepFailed when nothing listens where Kafka should, or what does is another home's."""
    host, _, port = settings.kafka.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        told = f"Kafka at {settings.kafka} does not answer ({error.strerror or error})."
        raise StepFailed(f"{told} `foryou up` starts it; --offline works on the lake alone.") from error
    if settings.kafka_override is None and not runs_here(settings, "kafka"):
        told = f"The Kafka at {settings.kafka} is not this home's ({settings.home}): nothing was read or written."
        raise StepFailed(f"{told} `FORYOU_PORT_OFFSET=1000 foryou up` starts one beside it; --offline needs none.")


def _span(day: str | None, first: str | None, last: str | None) -> tuple[date, date]:
    if first or last:
        if day or not (first and last):
            raise typer.BadParameter("--from and --to belong together, without --date")
        span = _day(first), _day(last)
    else:
        one = _day(day) if day else datetime.now(UTC).date() - timedelta(days=1)
        span = one, one
    if span[0] > span[1]:
        raise typer.BadParameter(f"{span[0]} is after {span[1]}")
    if span[1] > datetime.now(UTC).date():
        raise typer.BadParameter(f"{span[1]} is still to come")
    if (span[1] - span[0]).days >= MOST_DAYS:
        raise typer.BadParameter(f"{span[0]} to {span[1]} are more than {MOST_DAYS} days: take them in parts")
    return span


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter(f"days are written YYYY-MM-DD, not {text}") from None


def run(spark: "Spark", span: tuple[date, date], steps: tuple[Step, ...] = STEPS) -> Night:
    """Runs the steps that are not done. Raises StepFailed, JavaMissing."""
    lake = Lake(spark.settings.home / "lake")
    now = time.time_ns() // 1_000_000
    named = () if steps == STEPS else [step.name for step in steps]
    more = any(not (folder / ".taken").exists() for folder in lake.inbox.glob("[!.]*/"))
    tonight = night.begin(lake.runs, *span, now - IN_FLIGHT_MS, named, more=more)
    if named or not tonight.done:
        days.mark(lake.dirty, days.span(*span))
        night.save(lake.runs, tonight)
    else:
        spark.console.print(f"Going on after {', '.join(tonight.done)}.")
    todo = [step for step in steps if step.name not in tonight.done and not (spark.offline and step.live)]
    if todo:
        try:
            for step, done in spark(todo, tonight):
                tonight = tonight.with_step(step.name, done)
                night.save(lake.runs, tonight)
        except (KeyboardInterrupt, StackAway) as error:
            cut = next((step.name for step in todo if step.name not in tonight.done), todo[-1].name)
            again = f"begins again with {todo[0].name}" if named else "goes on with it"
            if isinstance(error, StackAway):
                told = f"{cut} stopped: {error}. `foryou up` starts it; then the same command {again}."
                raise StepFailed(told) from error
            told = f"Night {tonight.name} stopped in {cut}: the same command {again}."
            spark.console.print(f"[yellow]{told}", highlight=False, soft_wrap=True)
            raise
    if steps == STEPS:
        tonight = Night(tonight.first, tonight.last, tonight.complete_through, tonight.done, finished=True)
        night.save(lake.runs, tonight)
    return tonight


@dataclass(frozen=True)
class Spark:
    """One Spark for the steps of a night (jobs/batch/night.py): a new one for each would compile most of its time."""

    settings: Settings
    offline: bool
    memory: str
    console: Console
    lock: int
    urgent: bool = False

    def __call__(self, steps: Sequence[Step], tonight: Night) -> Iterator[tuple[Step, Done]]:
        """Steps with what they wrote, as they are done. Raises StepFailed, StackAway, JavaMissing."""
        temporary.emptied(Home(self.settings.home), "nightly")
        path = self.settings.home / "logs" / "nightly.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", buffering=1) as log:
            process = subprocess.Popen(
                self._argv(steps, tonight),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.settings.home,
                env=self._environ(),
                pass_fds=(self.lock,),
            )
            assert process.stdout is not None
            try:
                for step in steps:
                    begin = time.monotonic()
                    with _progress(self.console, step):
                        wrote = _done(process.stdout, log)
                    if wrote is None:
                        told = f"{step.name} failed ({process.wait()}): {_last_words(path)}"
                        raise StepFailed(f"{told}\nIts log: {path}")
                    yield step, Done(round(time.monotonic() - begin, 1), wrote)
                log.writelines(process.stdout)
                process.wait()
            finally:
                process.terminate()
                process.wait()

    def _argv(self, steps: Sequence[Step], tonight: Night) -> list[str]:
        # Beside a live stack people come first. A low priority (nice) still took a tenth of both cores, and made
        # features four seconds old; the idle class alone took half, where sessions are weighed.
        temporary_files = Home(self.settings.home).tmp / "nightly"
        spark = [str(Path(sys.executable).parent / "spark-submit"), *submit_settings(temporary_files, self.memory)]
        job = [str(REPO / "jobs" / "batch" / "night.py"), "--steps", ",".join(step.name for step in steps)]
        span = ["--from", tonight.first.isoformat(), "--to", tonight.last.isoformat()]
        live = [] if self.offline else self._addresses()
        through = ["--complete-through", str(tonight.complete_through)]
        home = ["--home", str(self.settings.home)]
        return [*turn(when_idle=not self.urgent), *spark, *job, *home, *span, *through, *live]

    def _addresses(self) -> list[str]:
        kafka = ["--kafka", self.settings.kafka, "--registry", self.settings.registry_url]
        return [*kafka, "--store", self.settings.url("store"), "--analytics", self.settings.url("analytics")]

    def _environ(self) -> dict[str, str]:
        ours = {"JAVA_HOME": str(find_jdk(os.environ).home), "PYTHONPATH": str(REPO), "PYSPARK_PYTHON": sys.executable}
        ours |= temporary.environ(Home(self.settings.home), "nightly")
        return os.environ | self.settings.environ() | ours


def _done(lines: Iterable[str], log: TextIO) -> dict[str, Any] | None:
    """What the step under way says that it wrote; None when there are no more lines. All else goes to the log:
    spark-submit hands a job's own errors on as its output. Raises StackAway."""
    for line in lines:
        if line.startswith('{"away": '):
            raise StackAway(json.loads(line)["away"])
        if line.startswith('{"done": '):
            wrote: dict[str, Any] = json.loads(line)["wrote"]
            return wrote
        log.write(line)
    return None


def _last_words(log: Path) -> str:
    """The line of a log that says most."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or "Exception" in line or " WARN " not in line]
    return (told or lines or ["it said nothing"])[-1][:300]


@contextmanager
def _progress(console: Console, step: Step) -> Iterator[None]:
    """One line: the step, and how long it has run. Where nothing can be drawn anew, a line when it begins, and one when
    it is known how long it took."""
    begin = time.monotonic()

    def line() -> Text:
        return Text(f"  {step.name:<11} {time.monotonic() - begin:5.0f} s  {step.doc}")

    if not console.is_terminal or console.is_dumb_terminal:
        console.print(Text(f"  {step.name:<11} {'…':>7}  {step.doc}"), soft_wrap=True)
        try:
            yield
        finally:
            console.print(line(), soft_wrap=True)
        return
    stop = threading.Event()
    with Live(line(), console=console, refresh_per_second=2, transient=False) as live:

        def tick() -> None:
            while not stop.wait(0.5):
                live.update(line())

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            stop.set()
            ticker.join()
            live.update(line())
