"""`foryou jobs`: Flink jobs on the running stack."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from foryou.cli.screen import wide
from foryou.cli.stack import live_settings
from foryou.local import checkpoints, probe, state, temporary
from foryou.local.flink import Flink
from foryou.local.home import Home
from foryou.local.jdk import JavaMissing, find_jdk
from foryou.local.kafka import all_topics, make_topics
from foryou.local.process_id import marks
from foryou.local.stack import flink_of

app = typer.Typer(help="Submit, list, save or upgrade Flink jobs.", no_args_is_help=True)
SAVE_S, UPGRADE_S = 120.0, 180.0


@app.command("list")
def list_jobs() -> None:
    """Every job that Flink knows: state, tasks, the newest complete checkpoint."""
    flink, console = _flink(), wide()
    lines = Table("job", "state", "tasks running", "since (UTC)", "newest checkpoint", "id", box=None)
    for job in sorted(_asked(console, flink), key=lambda job: -job["start-time"]):
        since = datetime.fromtimestamp(job["start-time"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        tasks = f"{job['tasks']['running']} of {job['tasks']['total']}"
        point = checkpoints.restore_point(flink.checkpoints(job["name"]))
        lines.add_row(job["name"], job["state"], tasks, since, point.name if point else "", job["jid"])
    console.print(lines)
    console.print(f"[dim]UI: {flink.url}", highlight=False)


@app.command()
def submit(
    program: Annotated[Path, typer.Argument(help="a PyFlink program, such as jobs/streaming/features.py")],
    name: Annotated[str, typer.Option(help="the job's name; the program's own name if absent")] = "",
) -> None:
    """Submits a job by `flink run -py`, from its newest checkpoint where it has
    one.

    The program gets --kafka, --registry, --epoch and --name, and runs in the
    streaming environment. The stack does not start it again after a crash: only
    the jobs that `foryou up` starts are kept.
    """
    flink, console = _flink(), Console()
    name = name or program.stem
    if not program.is_file():
        _fail(console, f"There is no program {program}.")
    if program.suffix != ".py":
        _fail(console, f"{program} is not a Python program: its name does not end in .py.")
    if name in _kept(flink):
        _fail(console, f"The stack keeps {name} running: `foryou jobs upgrade {name}` starts it again with new code.")
    _asked(console, flink)
    command, part = flink.submission(name, program.resolve()), f"submit-{name}"
    env = {**os.environ, **flink.environ("client", part), **marks(flink.home.root, part)}
    env |= temporary.environ(flink.home, part)
    with console.status(f"submitting {name}"), _held(flink, part):
        temporary.emptied(flink.home, part)
        done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=flink.home.root)
    console.print((done.stdout + done.stderr).strip()[-3000:], markup=False, highlight=False)
    raise typer.Exit(done.returncode)


@app.command()
def savepoint(name: Annotated[str, typer.Argument(help="the job's name")] = "features") -> None:
    """Writes a savepoint of a running job and prints its path. The job goes on."""
    flink, console = _flink(), Console()
    job_id = _job_id(console, flink, name)
    with console.status("writing the savepoint"):
        path = _save(
            console, flink, name, job_id, "savepoints", {"cancel-job": False, "target-directory": _target(flink, name)}
        )
    console.print(path, markup=False, highlight=False, soft_wrap=True)


@app.command()
def upgrade(
    name: Annotated[str, typer.Argument(help="the job's name")] = "features",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="leave the state behind: read the topics again, count a new epoch")
    ] = False,
) -> None:
    """Stops a job with a savepoint and starts it from there with the code of now.

    When the new plan cannot read the old state (a changed aggregate: give the
    view a new version instead), --fresh starts from nothing. The old state is
    set aside, not deleted.
    """
    flink, console = _flink(), Console()
    if name not in _kept(flink):
        _fail(console, f"{name} is not one of the jobs that the stack keeps: {', '.join(_kept(flink))}.")
    before = flink.find(name)
    with _held(flink, name):
        if before is not None and not fresh:
            with console.status("stopping with a savepoint"):
                body = {"targetDirectory": _target(flink, name), "drain": False}
                path = _save(console, flink, name, before.job_id, "stop", body)
            console.print(f"saved: {path}", markup=False, highlight=False, soft_wrap=True)
        elif before is not None:
            probe.send_json("PATCH", f"{flink.url}/jobs/{before.job_id}?mode=cancel", {})
        _until_gone(console, flink, name)
        if fresh:
            aside = checkpoints.set_aside(flink.checkpoints(name))
            console.print(f"state set aside: {aside}" if aside else "there was no state", markup=False, soft_wrap=True)
    make_topics(flink.settings.kafka, all_topics())  # the code of now may have a view more
    with console.status("starting with the code of now"):
        deadline = time.monotonic() + UPGRADE_S
        while time.monotonic() < deadline:
            now = state.load(flink.home.state)
            part = now.parts.get(name) if now else None
            running = flink.find(name)
            if part and part.phase == "healthy" and running and (before is None or running.job_id != before.job_id):
                console.print(f"{name} runs as {running.job_id}")
                return
            time.sleep(0.5)
    why = part.waiting_for if part else "the stack is down"
    _fail(console, f"{name} did not start: {why}. Mend the code, or start from nothing with --fresh.")


@contextmanager
def _held(flink: Flink, name: str) -> Iterator[None]:
    """Keeps the supervisor from submitting the job meanwhile; let go of when this process ends, however it does."""
    with (flink.home.run / f"{name}.hold").open("w") as hold:
        fcntl.flock(hold, fcntl.LOCK_EX)
        yield


def _save(console: Console, flink: Flink, name: str, job_id: str, verb: str, body: dict[str, Any]) -> str:
    jobs = f"{flink.url}/jobs/{job_id}"
    try:
        request = probe.send_json("POST", f"{jobs}/{verb}", body)["request-id"]
        deadline = time.monotonic() + SAVE_S
        while time.monotonic() < deadline:
            answer = probe.get_json(f"{jobs}/savepoints/{request}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" not in operation:
                    cause = str(operation.get("failure-cause", {}).get("stack-trace", "no reason given"))
                    _fail(console, f"The savepoint of {name} failed: {cause.splitlines()[0]}")
                return str(operation["location"])
            time.sleep(0.3)
    except OSError as error:
        _fail(console, f"Flink refused: {error}")
    _fail(console, f"The savepoint of {name} took longer than {SAVE_S:.0f} s.")


def _until_gone(console: Console, flink: Flink, name: str) -> None:
    deadline = time.monotonic() + SAVE_S
    while flink.find(name) is not None:
        if time.monotonic() > deadline:
            _fail(console, f"{name} does not stop.")
        time.sleep(0.3)


def _target(flink: Flink, name: str) -> str:
    folder = flink.checkpoints(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder.as_uri()


def _job_id(console: Console, flink: Flink, name: str) -> str:
    try:
        running = flink.find(name)
    except OSError:
        _fail(console, f"Flink does not answer at {flink.url}: `foryou up` starts it.")
    if running is None:
        _fail(console, f"No job {name} runs: `foryou jobs list` shows all.")
    return running.job_id


def _asked(console: Console, flink: Flink) -> list[dict[str, Any]]:
    try:
        return flink.jobs()
    except OSError:
        _fail(console, f"Flink does not answer at {flink.url}: `foryou up` starts it.")


def _kept(flink: Flink) -> list[str]:
    """The jobs that `foryou up` starts."""
    now = state.load(Home(flink.home.root).state)
    return [part.name for part in now.parts.values() if "#/job" in part.address] if now else ["features"]


def _flink() -> Flink:
    settings = live_settings()
    try:
        return flink_of(settings, find_jdk(os.environ))
    except JavaMissing as error:
        _fail(Console(), str(error))


def _fail(console: Console, sentence: str) -> NoReturn:
    console.print(f"[red]{sentence}", soft_wrap=True, highlight=False)
    raise typer.Exit(1)
