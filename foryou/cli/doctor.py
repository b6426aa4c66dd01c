"""`foryou doctor`: what is wrong, and how to mend it."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from foryou.cli.stack import settings_or_exit
from foryou.local import install, probe, state
from foryou.local.home import Home, HomeUnusable
from foryou.local.jdk import JavaMissing, find_jdk, passed_over
from foryou.local.lifecycle import elsewhere, running
from foryou.local.ports import taken
from foryou.local.process_id import alive, marked
from foryou.local.supervisor import last_line
from foryou.service.settings import Settings

NEEDED_MEMORY = 6 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, what was found, and the remedy where it is wrong."""

    what: str
    found: str
    remedy: str = ""


def doctor() -> None:
    """Checks needs, installation, disk, ports, left-over processes and the health
    of each part.

    Every finding that is wrong comes with what mends it. Exit status 1 if there
    is any.
    """
    settings, console = settings_or_exit(), Console()
    findings = list(examine(settings))
    for finding in findings:
        sign = "[red]✗[/]" if finding.remedy else "[green]✓[/]"
        console.print(f"{sign} {finding.what}: {finding.found}", highlight=False, soft_wrap=True)
        if finding.remedy:
            console.print(f"    → {finding.remedy}", highlight=False, soft_wrap=True, markup=False)
    wrong = sum(bool(finding.remedy) for finding in findings)
    console.print(f"\n{wrong} of {len(findings)} checks found something to mend." if wrong else "\nAll is well.")
    raise typer.Exit(1 if wrong else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check, in the order in which they build on one another."""
    yield _python()
    yield _java()
    yield _installed()
    yield _home(settings)
    yield _memory(settings)
    home = Home(settings.home)
    if running(home):
        if told := elsewhere(settings):
            yield Finding("ports", "not those of the running stack", told)
        yield from _parts(home)
        yield from _log(settings)
    else:
        yield from _left_over(home)
        yield from _ports(settings)


def _python() -> Finding:
    version = sys.version.split()[0]
    right = (3, 11) <= sys.version_info < (3, 13)
    # As infra/local/python asks, which chooses the one that environments are made with.
    quick = sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    built = version if quick else f"{version}, built without optimisation: a post takes it a quarter longer"
    return Finding("Python", built, "" if right else "use Python 3.11 or 3.12")


def _java() -> Finding:
    try:
        jdk = find_jdk(os.environ)
    except JavaMissing as error:
        return Finding("JDK", "none that fits", str(error))
    sentence = passed_over(os.environ, jdk)
    return Finding("JDK", f"{jdk.major} in {jdk.home}", f"{sentence} Mend it, or unset it" if sentence else "")


def _installed() -> Finding:
    steps = [step for step in install.steps(install.REPO) if not step.when_asked]  # the others are for `make test`
    if missing := [step.name for step in steps if not step.done()]:
        told = f"{', '.join(missing)}: not installed, or older than the list"
        return Finding("installation", told, "make install")
    return Finding("installation", ", ".join(step.name for step in steps))


def _home(settings: Settings) -> Finding:
    home = Home(settings.home)
    try:
        home.open()
        home.let_java_load()
    except HomeUnusable as error:
        return Finding("data folder", str(settings.home), str(error))
    free = shutil.disk_usage(home.root).free
    return Finding("data folder", f"{home.root}, {free / 1e9:.0f} GB free")


def _memory(settings: Settings) -> Finding:
    lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    free = values["MemAvailable"]
    enough = free >= NEEDED_MEMORY or running(Home(settings.home))
    return Finding(
        "memory", f"{free / 1e9:.1f} GB available", "" if enough else "the stack needs 6 GiB: end something else"
    )


def _left_over(home: Home) -> Iterator[Finding]:
    """`foryou down` takes the state file away: one whose processes are gone is of a stack that was killed."""
    last, left = state.load(home.state), marked(home.root)
    ran = [] if last is None else [part.process for part in last.parts.values() if part.process is not None]
    gone = [process for process in ran if not alive(process)]
    if gone:
        told = f"it was killed: {len(gone)} of {len(ran)} parts of the last run are gone"
        yield Finding("stack", told, "`foryou up` brings it back")
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        yield Finding(
            "left-over processes", f"the supervisor is gone, but these live: {pids}", "foryou down, or foryou up"
        )
    if not gone and not left:
        yield Finding("stack", "down, nothing left over")


def _ports(settings: Settings) -> Iterator[Finding]:
    held = [(name, port) for name, port in settings.ports.items() if taken(settings.host, port)]
    if not held:
        yield Finding("ports", f"{', '.join(map(str, sorted(settings.ports.values())))} are free")
    for name, port in held:
        remedy = f"end what holds it, or set FORYOU_PORT_{name.upper()}, or FORYOU_PORT_OFFSET to move every port"
        yield Finding(f"port {port} ({name})", "in use by another program", remedy)


def _log(settings: Settings) -> Iterator[Finding]:
    """How full the collector's log is, and what keeps it from Kafka."""
    try:
        said = probe.get_json(f"{settings.url('collector')}/healthz")
        log, waits = said["log"], ", ".join(said["waiting_for"])
    except (OSError, ValueError, KeyError):
        return  # the collector's own finding says what is wrong
    found = f"{log['bytes'] / 1e6:,.0f} of {log['quota_bytes'] / 1e6:,.0f} MB"
    alarm = log.get("alarm", "") or (f"Kafka does not get its events: it waits for {waits}" if waits else "")
    yield Finding("collector's log", found, alarm)
    aside = [path for path in (settings.log_folder / "aside").glob("*") if path.suffix in (".bad", ".unwanted")]
    if aside:
        told = f"{len(aside)} pieces that Kafka did not get, in {settings.log_folder / 'aside'}"
        yield Finding("set aside", told, "see forwarder.log for why; the runbook has what can be done")


def _parts(home: Home) -> Iterator[Finding]:
    now = state.load(home.state)
    if now is None:
        yield Finding("supervisor", "running, but it has not written its state", f"see {home.logs / 'supervisor.log'}")
        return
    for part in now.parts.values():
        again = f", started {part.restarts + 1} times" if part.restarts else ""
        if part.phase == "healthy":
            yield Finding(part.name, f"healthy at {part.address}{again}")
            continue
        waits = f": {part.waiting_for}" if part.waiting_for else ""
        log = Path(part.log)
        yield Finding(part.name, f"{part.phase}{waits}{again}", f"see {log}; it ends with: {last_line(log)}")
