"""`foryou demo`: starts the stack, shows the whole loop, prints the report, stays up until Ctrl-C."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console

from foryou.cli.demo_night import night
from foryou.cli.demonstration import Ask, demonstrate
from foryou.cli.feature_reader import FeaturesUnreadable
from foryou.cli.probes import NotThere
from foryou.cli.report import Report, next_steps, report_console, save, show
from foryou.cli.screen import watch
from foryou.cli.simulate import Stack, StackDown, bars
from foryou.cli.stack import UP_S, live_settings, say_java
from foryou.local.lifecycle import CannotStart, start, stop
from foryou.service.settings import Settings
from foryou.simulator.catalogue import LEAST, SIZE
from foryou.simulator.run import PublishFailed
from foryou.simulator.wire import NotLoopback

STOPPED_BY = (
    *(NotLoopback, NotThere, StackDown, PublishFailed, FeaturesUnreadable),
    *(KafkaException, OSError, ValueError),
)


def demo(
    once: Annotated[bool, typer.Option("--once", help="end after the report instead of staying up")] = False,
    people: Annotated[int, typer.Option(min=2, help="how many people")] = 100,
    seconds: Annotated[float, typer.Option(min=5, help="how long they live")] = 75.0,
    seed: Annotated[int, typer.Option(help="who comes and how they react")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="events per second, all people together, at most")] = 500.0,
    videos: Annotated[int, typer.Option(min=LEAST, help="size of the catalogue; KuaiRand's own are the least")] = SIZE,
    tonight: Annotated[bool, typer.Option("--night", help="the batch half, too: some four minutes more")] = False,
) -> None:
    """Starts the stack, lets made-up people live on it, prints a report, stays up until Ctrl-C."""
    console = report_console()
    settings = live_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us wants the stack down, too
    try:
        ours = start(settings, dict(os.environ))  # a stack that was up before the demo stays up after it
    except CannotStart as error:
        console.print(f"[red]{error}")
        raise typer.Exit(1) from error
    if ours:
        say_java(console)
    ask = Ask(people, seconds, seed, rate, videos)
    again = f"{ask.command} --night" if tonight else ask.command
    to_come = ["the report", "the night"] if tonight else ["the report"]
    try:
        report = _on_stack(settings, ask, console)
        good = report is not None and report.good
        if report is None:
            say_left_out(to_come, again, console)
        elif tonight:  # also where an equation is off: the night counts by itself
            to_come = ["the night"]
            good = night(settings, videos, Stack.of(settings).app_id, console) and good
        to_come = []
        if not once:
            _stay(console, ours)
    except KeyboardInterrupt:
        good = False
        console.print("[yellow]interrupted")
        say_left_out(to_come, again, console)
    finally:
        if ours:
            with console.status("stopping the stack"):
                stop(settings)
            console.print(f"The stack is down; its data is kept in {settings.home}", highlight=False, soft_wrap=True)
        else:
            console.print("The stack was up before and stays up: `foryou down` ends it.")
    raise typer.Exit(0 if good else 1)


def say_left_out(parts: Sequence[str], again: str, console: Console) -> None:
    """What the demo has not shown, and how to get it."""
    if parts:
        told = f"Left out: {' and '.join(parts)}. `{again}` makes {'it' if len(parts) == 1 else 'them'}."
        console.print(f"[yellow]{told}", highlight=False, soft_wrap=True)


def _on_stack(settings: Settings, ask: Ask, console: Console) -> Report | None:
    """Waits for the stack, demonstrates, reports. None when it did not get as far as a report."""
    begin = time.perf_counter()
    if not _up(settings, console):
        return None
    try:
        with bars(console) as progress:
            report = asyncio.run(demonstrate(Stack.of(settings), ask, progress))
    except STOPPED_BY as error:
        console.print(f"[red]the demo stopped: {error}", highlight=False)
        return None
    show(report, console)
    console.print(f"\nThe whole demo took {time.perf_counter() - begin:.0f} s: {_steps(report)}.")
    console.print(f"The same as text and JSON: {save(report, settings.home / 'report')}", soft_wrap=True)
    return report


def _up(settings: Settings, console: Console) -> bool:
    state = watch(settings, console, UP_S)
    if state is None:
        console.print(f"[red]the supervisor ended: see {settings.home / 'logs' / 'supervisor.log'}", soft_wrap=True)
        return False
    if not state.ready:
        late = [f"{name} waits for {part.waiting_for}" for name, part in state.parts.items() if part.phase != "healthy"]
        console.print(f"[red]the stack is not up after {UP_S:.0f} s: {'; '.join(late)}")
    return state.ready


def _stay(console: Console, ours: bool) -> None:
    console.print()
    console.print(next_steps())
    if not ours:
        return
    console.print("\n[bold]The stack stays up until Ctrl-C.")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    over.wait()


def _steps(report: Report) -> str:
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
