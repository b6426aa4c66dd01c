"""Keeps the stack running: starts by need, asks after health, starts again what died, ends everything in order.

One thread per part. A part is started when all that it needs is healthy; later trouble of what it needs is its own
matter (each process of ours waits for Kafka by itself), so nothing is restarted because of a neighbour, but for
what is bound to it.
"""

import fcntl
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import KafkaException

from foryou.local import temporary
from foryou.local.board import Board
from foryou.local.home import Home
from foryou.local.part import Job, Part, Running
from foryou.local.process_id import end, identify, marked, marks
from foryou.local.stack import Stack
from foryou.service.metrics import Metrics
from foryou.service.scheduling import BEHIND, stand_back

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LAST_BACKOFF_S = 1.0, 20.0
STEADY_S = 60.0
SUBMISSION_S = 180.0
START_POLL_S, HEALTH_S = 0.25, 2.0
STOP_ORDER_S = 30.0


class Supervisor:
    """Runs a stack until `stop` is set."""

    def __init__(self, home: Home, stack: Stack, board: Board, environ: Mapping[str, str], metrics: Metrics) -> None:
        self._home, self._stack, self._board = home, stack, board
        self._environ, self._metrics = environ, metrics
        self.stop = threading.Event()

    def run(self) -> None:
        """Returns when everything has ended."""
        threads = [threading.Thread(target=self._keep, args=(unit,), name=unit.name) for unit in self._stack.units]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end(marked(self._home.root), grace_s=1.0)

    def _keep(self, unit: Part | Job) -> None:
        """The thread of one part: its life, again and again, until the stack stops."""
        backoff = Backoff()
        while not self.stop.is_set():
            try:
                why = self._live(unit) if isinstance(unit, Part) else self._submit_and_follow(unit)
            except (
                Exception
            ) as error:  # this thread's own boundary: a part that cannot start must not take others along
                log.exception("a part failed to start", extra={"part": unit.name})
                why = f"{error}"
            if not self.stop.is_set():
                log.warning("starting again", extra={"part": unit.name, "why": why})
                restarts = self._board.now.parts[unit.name].restarts + 1
                self._board.set(
                    unit.name, phase="restarting", waiting_for=why, pid=None, started=None, restarts=restarts
                )
                self.stop.wait(backoff.next(time.monotonic()))
        self._end_in_order(unit)

    def _live(self, part: Part) -> str:
        """One life of a process. Returns why it ended."""
        if not self._needs_met(part):
            return "stopping"
        self._board.set(part.name, phase="starting", waiting_for="")
        self._end_bound_to(part)
        temporary.emptied(self._home, part.name)
        part.prepare()
        process = self._spawn(part.name, part.argv, part.env, part.console, part.cwd, waited_for=part.waited_for)
        self._metrics.counter("foryou_supervisor_starts_total", process=part.name).inc()
        settled = False
        while process.poll() is None and not self.stop.is_set():
            wrong = part.check()
            if wrong is None and not settled:
                wrong = self._settle(part)
                settled = wrong is None
            if wrong is not None:
                self._metrics.counter("foryou_supervisor_health_failures_total", process=part.name).inc()
            self._board.set(
                part.name,
                phase="healthy" if wrong is None else "unhealthy" if settled else "starting",
                waiting_for=wrong or "",
            )
            self._metrics.gauge("foryou_supervisor_process_up", process=part.name).set(wrong is None)
            self._wait(process, HEALTH_S if settled else START_POLL_S)
        if process.poll() is None:
            return "stopping"
        self._metrics.gauge("foryou_supervisor_process_up", process=part.name).set(0)
        end(marked(self._home.root, part.name), grace_s=0.0)
        return how_it_ended(process.returncode, part.console)

    def _settle(self, part: Part) -> str | None:
        try:
            part.settle()
        except (OSError, ValueError, KafkaException) as error:
            log.warning("not settled; trying again", extra={"part": part.name, "why": f"{error}"})
            return f"{error}"
        return None

    def _submit_and_follow(self, job: Job) -> str:
        """Submits the job unless it runs, follows it while it lives. Returns why it is gone."""
        if not self._needs_met(job):
            return "stopping"
        seen: Running | None = None
        while not self.stop.is_set():
            try:
                running = job.find()
            except OSError as error:
                return f"Flink does not answer: {error}"
            if running is None and seen is not None:
                return f"the job is gone (it was {seen.state})"
            if running is None:
                self._board.set(job.name, phase="starting", waiting_for="its submission")
                why = self._submit(job)
                if why:
                    return why
            else:
                seen = running
                self._follow(job, running)
            self._until_next_look(job)
        return "stopping"

    def _until_next_look(self, job: Job) -> None:
        """Sleeps, but not past the stack's end, nor past the end of what a healthy job needs."""
        well = not self._board.missing([job.name])
        deadline = time.monotonic() + (HEALTH_S if well else 0.5)
        while time.monotonic() < deadline and not self.stop.wait(0.1):
            if well and self._board.missing(job.needs):
                return

    def _follow(self, job: Job, running: Running) -> None:
        # For some seconds after a TaskManager's death Flink still says that the job and all its tasks run.
        gone = self._board.missing(job.needs)
        well = running.state == "RUNNING" and running.all_tasks_run and not gone
        before = self._board.now.parts[job.name].phase
        self._board.set(
            job.name,
            phase="healthy" if well else "starting" if before in ("starting", "waiting") else "unhealthy",
            waiting_for="" if well else ", ".join(gone) or f"its tasks (Flink says {running.state})",
        )
        self._metrics.gauge("foryou_supervisor_process_up", process=job.name).set(well)
        age = job.checkpoint_age_s()
        if age is not None:
            self._metrics.gauge("foryou_supervisor_job_checkpoint_age_seconds", job=job.name).set(age)
        if well:
            job.tidy(running)

    def _submit(self, job: Job) -> str:
        """Submits; returns what went wrong, or nothing. Whoever holds the job's hold file keeps us from it."""
        with job.hold.open("w") as hold:
            try:
                fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._board.set(job.name, waiting_for="foryou jobs, which holds it")
                return ""
            self._metrics.counter("foryou_supervisor_job_submissions_total", job=job.name).inc()
            temporary.emptied(self._home, job.name)
            process = self._spawn(job.name, job.submission(), job.env, job.log)
            deadline = time.monotonic() + SUBMISSION_S
            while process.poll() is None and time.monotonic() < deadline and not self.stop.is_set():
                self._wait(process, START_POLL_S)
            finished = process.poll()
            end(marked(self._home.root, job.name), grace_s=1.0)
            process.wait()
            self._board.set(job.name, pid=None, started=None)
            if finished is None:
                return f"its submission took longer than {SUBMISSION_S:.0f} s"
            return "" if finished == 0 else f"its submission failed: {last_line(job.log)}"

    def _spawn(
        self,
        name: str,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        console: Path,
        cwd: Path | None = None,
        *,
        waited_for: bool = False,
    ) -> subprocess.Popen[bytes]:
        # The file is opened to append: when the keeper of logs empties it, the process goes on at its new end.
        with console.open("ab") as out:
            process = subprocess.Popen(
                argv,
                env={**self._environ, **temporary.environ(self._home, name), **env, **marks(self._home.root, name)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                start_new_session=True,
            )
        if not waited_for and not stand_back(BEHIND, process.pid) and process.poll() is None:
            log.warning("the kernel did not take how much of the processors it shall have", extra={"part": name})
        known = identify(process.pid)
        self._board.set(name, phase="starting", pid=process.pid, started=known.started if known else None)
        return process

    def _needs_met(self, unit: Part | Job) -> bool:
        """Waits for what the part needs; False when the stack stops first."""
        while not self.stop.is_set():
            missing = self._board.missing(unit.needs)
            if not missing:
                return True
            self._board.set(unit.name, phase="waiting", waiting_for=", ".join(missing))
            self.stop.wait(0.1)
        return False

    def _end_bound_to(self, part: Part) -> None:
        for other in self._stack.parts:
            if other.bound_to == part.name and self._board.now.parts[part.name].restarts:
                end(marked(self._home.root, other.name), grace_s=0.0)

    def _end_in_order(self, unit: Part | Job) -> None:
        """Ends a process when those that need it have ended."""
        users = [other.name for other in self._users(unit)]
        self._board.set(unit.name, phase="stopping", waiting_for=", ".join(users))
        self._board.wait_while(lambda now: any(now.parts[name].phase != "stopped" for name in users), STOP_ORDER_S)
        killed = end(marked(self._home.root, unit.name), grace_s=unit.grace_s if isinstance(unit, Part) else 0.0)
        if killed and isinstance(unit, Part):
            log.warning("had to be killed", extra={"part": unit.name, "pids": [process.pid for process in killed]})
        self._board.set(unit.name, phase="stopped", waiting_for="", pid=None, started=None)

    def _users(self, unit: Part | Job) -> Iterable[Part | Job]:
        for other in self._stack.units:
            if unit.name in other.needs or (isinstance(other, Part) and other.bound_to == unit.name):
                yield other

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Sleeps, but not past the process's end or the stack's."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            if self.stop.wait(min(0.2, seconds)):
                return


OTHER_PLAN = (
    "its state is of another version of the job: `foryou jobs upgrade NAME --fresh` sets it aside and counts again "
    "from the oldest event that the topics hold"
)


class Backoff:
    """How long to wait before the next start: doubling, and from the beginning again after a steady minute."""

    def __init__(self) -> None:
        self._pause = FIRST_BACKOFF_S
        self._last: float | None = None

    def next(self, now: float) -> float:
        """Seconds to wait, given the monotonic time of this failure."""
        if self._last is not None and now - self._last > STEADY_S + self._pause:
            self._pause = FIRST_BACKOFF_S
        pause, self._last = self._pause, now
        self._pause = min(self._pause * 2, LAST_BACKOFF_S)
        return pause


def how_it_ended(code: int, console: Path) -> str:
    """In a sentence. Whom somebody ended knew nothing of it: their last words are of something else."""
    if code == -signal.SIGKILL:
        return "killed (SIGKILL) by somebody, or by the kernel for want of memory"
    if code == -signal.SIGTERM:
        return "asked to end (SIGTERM) by somebody"
    return f"ended with {code}: {last_line(console)}"


def last_line(path: Path, limit: int = 300) -> str:
    """The last line of a log that says something, shortened; a Java stack is cut down to its last cause."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return "it left no log"
    spoken = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("at ", "... "))]
    if any("Cannot map checkpoint/savepoint state" in line for line in spoken[-60:]):
        return OTHER_PLAN
    causes = [line for line in spoken[-60:] if line.startswith("Caused by:")]
    return (causes or spoken or ["its log is empty"])[-1][:limit]
