"""`foryou up`, `status`, `down`."""

import json
import os
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from foryou.cli.screen import table, watch, wide
from foryou.lake.night_lock import under_way
from foryou.lake.tables import Lake
from foryou.local import state
from foryou.local.home import Home
from foryou.local.jdk import find_jdk, passed_over
from foryou.local.lifecycle import CannotStart, elsewhere, running, start, stop
from foryou.local.process_id import alive, marked
from foryou.local.state import PartState, StackState
from foryou.service.settings import Settings

UP_S = 240.0
SERVED = ("flink", "collector", "forwarder", "store", "ranker", "analytics", "supervisor")


def up(
    timeout: Annotated[float, typer.Option(min=1, help="give up waiting after so many seconds")] = UP_S,
) -> None:
    """Starts everything and waits until it is healthy.

    Kafka, the schema registry, Flink with its job, the collector, its forwarder,
    the store, the ranker and ClickHouse start by dependency on health checks and
    stay up in the background, watched: what dies is started again. After a crash, or a kill -9
    of everything, `foryou up` again brings all data, schema ids and job state
    back.
    """
    settings, console, begin = live_settings(), Console(), time.monotonic()
    try:
        began = start(settings, dict(os.environ))
    except CannotStart as error:
        console.print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(1) from error
    if began:
        say_java(console)
    else:
        console.print("The stack is up already; waiting until it is healthy.")
    now = watch(settings, console, timeout)
    if now is None:
        console.print(f"[red]The supervisor ended: see {Home(settings.home).logs / 'supervisor.log'}", soft_wrap=True)
        raise typer.Exit(1)
    if not now.ready:
        console.print(f"[red]Not healthy after {timeout:.0f} s:")
        for part in now.parts.values():
            if part.phase != "healthy":
                console.print(f"  {part.name} ({part.phase}): {part.waiting_for}\n    log: {part.log}", markup=False)
        console.print("It goes on trying: `foryou status` shows how it stands, `foryou doctor` how to mend it.")
        raise typer.Exit(1)
    _welcome(console, settings, time.monotonic() - begin)


def _welcome(console: Console, settings: Settings, seconds: float) -> None:
    key = _write_key(settings) or "<your key>"
    console.print(f"\nUp in {seconds:.0f} s. Data and logs: {settings.home}", highlight=False, soft_wrap=True)
    console.print("\nA first event, a first feed:", highlight=False)
    event = '{"event_type":"app_open","user_id":"me","event_time":' + str(time.time_ns() // 1_000_000) + "}"
    for line in (
        f"curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{event}' "
        f"{settings.url('collector')}/v1/events",
        f"curl -H 'Authorization: Bearer {key}' '{settings.url('ranker')}/v1/feed?user_id=me&limit=5'",
    ):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nDevelopment write key: [bold]{key}[/]", highlight=False, soft_wrap=True)


def down() -> None:
    """Ends every process of the stack. Data, schema ids and job state stay for the next `up`.

    A night is no part of the stack and goes on; down says so.
    """
    settings, console = settings_or_exit(), Console()
    if night := under_way(Lake(settings.home / "lake")):
        console.print(
            f"[yellow]A night is under way ({night}) and goes on: its steps that need the stack will fail. "
            "The same `foryou nightly` then goes on with them.",
            highlight=False,
            soft_wrap=True,
        )
    with console.status("ending the stack"):
        ended = stop(settings)
    console.print(f"Down: {ended} processes ended." if ended else "Nothing was running.")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="for programs: addresses, write key, every part")] = False,
) -> None:
    """Shows every part: state, address, what it waits for. Exit status 0 when all are healthy, else 1."""
    settings, console = live_settings(), wide()
    home = Home(settings.home)
    now, up_now = state.load(home.state), running(home)
    if as_json:
        print(json.dumps(report(settings, now, up_now), indent=1))
    elif now is None:
        console.print("Down. `foryou up` starts it.")
    else:
        console.print(table(now, lambda part: _phase(part, up_now)))
        if not up_now:
            left = len(marked(home.root))
            console.print(
                f"[red]The supervisor is gone, {left} of its processes are left.[/] "
                "`foryou up` brings everything back, `foryou down` ends the rest."
            )
        else:
            console.print(f"\nlogs: {home.logs}", highlight=False, soft_wrap=True)
    if now is None or not up_now or not now.ready:
        raise typer.Exit(1)


def report(settings: Settings, now: StackState | None, up_now: bool) -> dict[str, Any]:
    """What `status --json` prints."""
    parts = (
        {}
        if now is None
        else {name: asdict(part) | {"phase": _phase(part, up_now)} for name, part in now.parts.items()}
    )
    return {
        "ready": bool(now and now.ready and up_now),
        "supervisor": None if now is None or not up_now else now.supervisor.pid,
        "home": str(settings.home),
        "write_key": _write_key(settings),
        "addresses": {
            "kafka": settings.kafka,
            "registry": settings.registry_url,
            **{name: settings.url(name) for name in SERVED},
            **{
                f"{name}_tls": f"https://{tls.host}:{tls.port}"
                for name in ("collector", "ranker")
                if (tls := settings.listening(name).tls) is not None
            },
        },
        "parts": parts,
    }


def settings_or_exit() -> Settings:
    """The settings of the environment; what is wrong with them is said in one sentence."""
    try:
        settings = Settings.load(os.environ)
        settings.gate()
        return settings
    except ValueError as error:
        Console(stderr=True).print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(2) from error


def live_settings() -> Settings:
    """The same, for who asks the stack: where that listens on other ports, it is said in one sentence."""
    settings = settings_or_exit()
    if told := elsewhere(settings):
        Console(stderr=True).print(f"[red]{told}", highlight=False, soft_wrap=True)
        raise typer.Exit(2)
    return settings


def say_java(console: Console) -> None:
    """Says when JAVA_HOME is not the JDK that is used. Raises JavaMissing."""
    sentence = passed_over(os.environ, find_jdk(os.environ))
    if sentence:
        console.print(f"[yellow]{escape(sentence)}", highlight=False, soft_wrap=True)


def _phase(part: PartState, up_now: bool) -> str:
    """A state file outlives its supervisor; then what it says of a process is asked of the kernel."""
    if up_now:
        return part.phase
    return "unhealthy" if part.process is not None and alive(part.process) else "dead"


def _write_key(settings: Settings) -> str | None:
    """The development key, the one key whose text is kept; None once it is revoked."""
    return next(iter(settings.secrets().write_keys), None)
