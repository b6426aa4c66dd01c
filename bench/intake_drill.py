"""`make drill-intake`: phones post and send again, everything is killed, frozen, filled up; then the checker reads.

    python -m bench.intake_drill --seeds 30

Each seed is a load of some seconds, with faults drawn from FAULTS at drawn moments, on one home that goes on from run
to run. Exits 1 if an acknowledged event was lost, one was invented, or a viewer's order was not kept.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console

from bench import intake_checker
from bench.intake_checker import Client, Report
from bench.intake_parts import Intake, Process
from foryou.service.settings import Settings

FAULTS = ("collector", "forwarder", "kafka", "all", "frozen", "full", "sync")
SECONDS, RATE, VIEWERS = 5.0, 400.0, 24
DRAIN_S = 90.0


class Drill:
    """Runs of one intake. `faults`: which of FAULTS may be drawn."""

    def __init__(self, intake: Intake, folder: Path, faults: tuple[str, ...] = FAULTS) -> None:
        self.intake, self._folder, self._faults = intake, folder, faults
        self.clients: list[Client] = []
        self._fault = intake.settings.home / "fault"
        self._healing: list[threading.Thread] = []

    def run(self, seed: int, run: int, *, seconds: float = SECONDS, faults: int = 3) -> list[str]:
        """One seed: load and faults, then everything is well again and drained. Returns what was done, in words."""
        rng = random.Random(seed)
        plan = sorted((rng.uniform(0.2, seconds), rng.choice(self._faults)) for _ in range(rng.randint(2, faults)))
        acked = self._folder / f"acked-{run}"
        load = self.intake.load(
            seconds=seconds, connections=VIEWERS, rate=RATE, run=run, acked=str(acked), resend=True,
            batch=rng.choice((1, 1, 5)),
        )  # fmt: skip
        begin, done = time.monotonic(), []
        for moment, fault in plan:
            time.sleep(max(0.0, begin + moment - time.monotonic()))
            done.append(f"{time.monotonic() - begin:.1f} s {fault}")
            self._break(fault, rng)
        result = load.done()
        if not result.events:
            raise RuntimeError("nothing was acknowledged: this run says nothing")
        self.clients.append(Client(run, result.sent, acked))
        self.heal()
        self.drain()
        return [*done, f"{result.events:,} acknowledged", f"{result.broken} connections broke", f"{result.statuses}"]

    def check(self) -> Report:
        """The checker's verdict on all runs so far."""
        return intake_checker.check(self.clients, intake_checker.read(self.intake.settings.kafka))

    def _break(self, fault: str, rng: random.Random) -> None:
        intake = self.intake
        if fault == "frozen" and intake.kafka is not None:
            intake.kafka.signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 2.0))
            intake.kafka.signal(signal.SIGCONT)
        elif fault in ("full", "sync"):
            self._fault.write_text("ENOSPC" if fault == "full" else "EIO", "ascii")
            time.sleep(rng.uniform(0.1, 0.8))
            self._fault.unlink()
            self._revive(intake.collector)
        else:
            hit = intake.processes if fault == "all" else [getattr(intake, fault)]
            for process in hit:
                process.signal(signal.SIGKILL)
            time.sleep(rng.uniform(0.0, 0.5))
            for process in reversed(hit):
                if process is intake.kafka:  # it takes its time: meanwhile the load and the other faults go on
                    self._healing.append(threading.Thread(target=self._revive, args=(process,)))
                    self._healing[-1].start()
                else:
                    self._revive(process)

    def _revive(self, process: Process) -> None:
        if process.alive:
            return
        if process is self.intake.kafka:
            with contextlib.suppress(RuntimeError):  # killed once more while it started: `heal` has the last word
                self.intake.start_kafka()
        else:
            process.start()

    def heal(self) -> None:
        """Everything runs."""
        while self._healing:
            self._healing.pop().join()
        for process in reversed(self.intake.processes):
            self._revive(process)

    def drain(self) -> None:
        """Waits until Kafka has all. Raises TimeoutError."""
        deadline = time.monotonic() + DRAIN_S
        time.sleep(1.2)  # the number is of the last second
        while self.intake.behind_bytes() != 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka does not have the log after {DRAIN_S:.0f} s")
            time.sleep(0.2)


def broken_build(intake: Intake, folder: Path, run: int) -> Report:
    """The checker's verdict on a collector that acknowledges before it writes, killed twice."""
    os.environ["FORYOU_DRILL_BREAK"] = "early"
    try:
        intake.start()
        drill = Drill(intake, folder, ("collector",))
        drill.run(1, run, seconds=6.0, faults=2)
        return drill.check()
    finally:
        intake.stop()
        del os.environ["FORYOU_DRILL_BREAK"]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end the processes on the way out
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="foryou-drill-"))
    settings = dataclasses.replace(Settings.load(os.environ), home=folder / "home", log_quota_mb=64, log_keep_s=5)
    intake = Intake(settings, module="bench.intake_faulty")
    drill = Drill(intake, folder)
    try:
        intake.start()
        for number in range(asked.seeds):
            told = drill.run(asked.first + number, number + 1)
            report = drill.check()
            sign = "[green]✓[/]" if report.good else "[red]✗[/]"
            console.print(f"{sign} seed {asked.first + number}: {', '.join(told)}\n    {report}", highlight=False)
            if not report.good:
                break
    finally:
        intake.stop()
    intake = Intake(dataclasses.replace(settings, home=folder / "broken"), module="bench.intake_faulty")
    broken = broken_build(intake, folder, 0xBAD)
    console.print(f"a build that acknowledges early: {broken}", highlight=False)
    caught = bool(broken.lost)
    found = {"runs": len(drill.clients), "acknowledged": report.acknowledged, "lost": len(report.lost)}
    found |= {"invented": len(report.invented), "disordered": len(report.disordered), "broken_build_caught": caught}
    print(json.dumps({**found, "ok": report.good and caught}))
    if report.good and caught:
        shutil.rmtree(folder)
        return 0
    print(f"FAILED: see {folder}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
