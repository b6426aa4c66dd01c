"""`make bench-intake`: how much the collector takes, how fast it acknowledges, and what it loses: nothing.

    python -m bench.intake [--seconds 10] [--only capacity,ack,...]

A broker, a collector and a forwarder of their own, and the load in another process, all on this machine. Latencies
are open loop, from when a post was due. Prints a table and a line of JSON; exits 1 when a bound is broken.
"""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import intake_checker
from bench.intake_checker import Client
from bench.intake_load import Result, Spec
from bench.intake_parts import Intake, Loading, Process, listens
from foryou.service.settings import REPO, Settings

ACK_RATE, ACK_MS = 5_000, 5.0
SINGLE, BATCHED = 10_000, 60_000
HELD = 10_000
DRAIN_TIMES = 3.0
STEP_BASE, STEP = 800, 10
SENDERS = 32  # of posts of 100: fewer devices would soon have sent more events than one may
PHONES = 256  # connections of single posts: more than are under way at once, even behind a stall of 50 ms
WARM_UP_S = 20.0  # Kafka compiles while it is new, on the processors that are measured
CROWD = 2_500  # connections of the step: more than the requests that are taken at once
PARTS = ("machine", "idle", "capacity", "peers", "ack", "held", "drain", "step")


@dataclass
class Bench:
    """Measures, notes lines of the table and what is wrong."""

    intake: Intake
    folder: Path
    seconds: float
    connections: int = PHONES  # of single posts
    lines: list[tuple[str, str, str, bool]] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    used_s: float = 0.0  # of processor, by the collector before the last load

    def note(self, what: str, found: str, bound: str = "", *, good: bool = True, **told: Any) -> None:
        self.lines.append((what, found, bound, good))
        self.told.update(told)
        sign = "" if good else "  FAILED"
        print(f"{what}: {found} {bound and f'({bound})'}{sign}", file=sys.stderr)

    def begin(self, **said: Any) -> Loading:
        """A load whose acknowledged events the checker will look for."""
        run, self.used_s = len(self.clients) + 1, self.intake.collector.cpu_s()
        return self.intake.load(run=run, acked=str(self.folder / f"acked-{run}"), **said)

    def end(self, load: Loading) -> Result:
        result = load.done()
        assert load.spec.acked is not None
        self.clients.append(Client(load.spec.run, result.sent, Path(load.spec.acked)))
        return result

    def post(self, **said: Any) -> Result:
        return self.end(self.begin(**said))

    def ack(self, what: str, name: str, result: Result) -> None:
        """An open-loop line with its bound."""
        good = result.p99 < ACK_MS and not result.unsent and result.posts > 0.98 * ACK_RATE * self.seconds
        cost = (self.intake.collector.cpu_s() - self.used_s) / max(1, result.posts) * 1e6
        found = f"p50 {result.p50}  p99 {result.p99}  p99.9 {result.p999}  max {result.max} ms, {_answers(result)}"
        found += f", {cost:.0f} µs of the collector's processor each"
        told = {"p50": result.p50, "p99": result.p99, "p999": result.p999, "max": result.max}
        self.note(what, found, f"p99 < {ACK_MS:g} ms at {ACK_RATE:,}/s", good=good, **{name: told})

    def caught_up(self, within_s: float = 120.0) -> float:
        """Seconds until Kafka has the whole log."""
        begin = time.monotonic()
        time.sleep(1.1)
        while self.intake.behind_bytes() != 0:
            if time.monotonic() - begin > within_s:
                return float("inf")
            time.sleep(0.1)
        return time.monotonic() - begin - 1.1


def _answers(result: Result) -> str:
    others = {status: count for status, count in result.statuses.items() if status != "202"}
    late = f", generator late by {result.late_p99} ms (p99)" if result.late_p99 > 1 else ""
    return f"{result.posts:,} acknowledged{f', others {others}' if others else ''}{late}"


def machine(bench: Bench) -> None:
    """What there is to be had: syncs of the same disk, a millisecond apart, and how much others want the processors.

    While a sync is late, so is everybody: the share of the time in which none would have come back in time is the least
    share of late acknowledgements that any door with a synced log has on this disk.
    """
    file, times = os.open(bench.folder / "sync", os.O_WRONLY | os.O_CREAT | os.O_DSYNC), list[float]()
    end = time.perf_counter() + bench.seconds
    while (begin := time.perf_counter()) < end:
        os.pwrite(file, bytes(2_048), len(times) % 10_000 * 2_048)
        times.append((time.perf_counter() - begin) * 1e3)
        time.sleep(0.001)
    os.close(file)
    times.sort()
    p50, p99, p999 = (times[int(len(times) * part)] for part in (0.5, 0.99, 0.999))
    late = sum(took - ACK_MS for took in times if took > ACK_MS) / bench.seconds / 1e3
    waits = Path("/proc/pressure/cpu").read_text("ascii").split()[2].removeprefix("avg60=")
    found = f"a sync of 2 KiB: p50 {p50:.2f}, p99 {p99:.2f}, p99.9 {p999:.2f}, most {times[-1]:.1f} ms; "
    found += f"late by itself {late:.2%} of the time; processors waited for {waits} % of the time"
    bench.note("this machine, with nothing to do", found, sync_p50=round(p50, 2), sync_max=round(times[-1], 1),
               sync_late=round(late, 5), cpu_pressure=float(waits))  # fmt: skip


def idle(bench: Bench) -> None:
    """What waiting costs."""
    for name, process in (("collector", bench.intake.collector), ("forwarder", bench.intake.forwarder)):
        before = process.cpu_s()
        time.sleep(3.0)
        bench.note(f"{name}, idle", f"{(process.cpu_s() - before) / 3.0:.1%} of a core")


def capacity(bench: Bench) -> None:
    """As fast as answers come."""
    used = bench.intake.collector.cpu_s()
    single = bench.post(seconds=bench.seconds, connections=bench.connections)
    rate, used = single.posts / single.seconds, bench.intake.collector.cpu_s() - used
    cost = f"{used / max(1, single.posts) * 1e6:.0f} µs of processor each"
    found = f"{rate:,.0f} posts/s, p99 {single.p99} ms, {cost}{_refusals(single)}"
    bench.note("single events, closed loop", found, f"≥ {SINGLE:,}/s, none refused",
               good=rate >= SINGLE and not _refusals(single), single_per_s=round(rate))  # fmt: skip
    used = bench.intake.collector.cpu_s()
    batched = bench.post(seconds=bench.seconds, connections=SENDERS, batch=100)
    rate, used = batched.events / batched.seconds, bench.intake.collector.cpu_s() - used
    cost = f"{used / max(1, batched.events) * 1e6:.1f} µs of processor each"
    found = f"{rate:,.0f} events/s, p99 {batched.p99} ms, {cost}{_refusals(batched)}"
    bench.note("posts of 100, closed loop", found, f"≥ {BATCHED:,} events/s, none refused",
               good=rate >= BATCHED and not _refusals(batched), batched_per_s=round(rate))  # fmt: skip
    bench.note("… until Kafka has them", f"{bench.caught_up():.1f} s")


def _refusals(result: Result) -> str:
    refused = {status: count for status, count in result.statuses.items() if status != "202"}
    return f", refused {refused}" if refused else ""


def peers(bench: Bench) -> None:
    """The same load on others, and the ratios."""
    port = bench.intake.settings.ports["ranker"]

    def healthy() -> bool:
        return listens(port)

    for kind in ("drop", "fastapi"):
        argv = (sys.executable, "-m", "bench.intake_peers", kind, str(port), bench.intake.settings.kafka)
        process = Process(argv, {}, bench.folder / f"{kind}.log", healthy, waited_for=True)
        process.start()
        for name, connections, batch in (("single", bench.connections, 1), ("batched", SENDERS, 100)):
            result = Loading(Spec(port, bench.seconds / 2, connections, batch=batch)).done()
            rate = result.events / result.seconds
            ours = bench.told.get(f"{name}_per_s")
            ratio = f", ours / its: {ours / rate:.2f}" if ours and rate else ""
            bench.note(f"{kind}, {name}", f"{rate:,.0f} events/s, p99 {result.p99} ms{ratio}")
            bench.told[f"{kind}_{name}_per_s"] = round(rate)
        process.stop()


def ack(bench: Bench) -> None:
    """Kafka up, frozen, flapping, down."""
    kafka = bench.intake.kafka
    assert kafka is not None
    said = {"seconds": bench.seconds, "connections": bench.connections, "rate": ACK_RATE}
    bench.ack("ack, Kafka up", "ack_up", bench.post(**said))
    load = bench.begin(**said)
    time.sleep(1.0)
    kafka.signal(signal.SIGSTOP)
    bench.ack("ack, Kafka frozen", "ack_frozen", bench.end(load))
    kafka.signal(signal.SIGCONT)
    bench.caught_up()
    load = bench.begin(**said)
    flapping = threading.Thread(target=_flap, args=(kafka, load))
    flapping.start()
    bench.ack("ack, Kafka flapping", "ack_flapping", bench.end(load))
    flapping.join()
    bench.caught_up()
    kafka.signal(signal.SIGKILL)
    bench.ack("ack, Kafka killed", "ack_killed", bench.post(**said))
    bench.intake.start_kafka()
    bench.note("… until Kafka has them", f"{bench.caught_up():.1f} s")


def _flap(kafka: Process, load: Loading) -> None:
    while not load.over:
        kafka.signal(signal.SIGSTOP)
        time.sleep(0.5)
        kafka.signal(signal.SIGCONT)
        time.sleep(0.5)


def held(bench: Bench) -> None:
    """Ten thousand connections, of which some post."""
    result = bench.post(seconds=bench.seconds, connections=HELD, busy=bench.connections, rate=ACK_RATE)
    bench.ack(f"ack, {result.held:,} connections held", "ack_held", result)
    if result.held < HELD:
        bench.note("connections", f"{result.held:,}", f"{HELD:,}", good=False)


def drain(bench: Bench) -> None:
    """Kafka comes back while the load goes on."""
    kafka, rate = bench.intake.kafka, 2_000.0
    assert kafka is not None
    kafka.signal(signal.SIGKILL)
    bench.post(seconds=bench.seconds, connections=8, rate=rate / 20, batch=20)
    load = bench.begin(seconds=bench.seconds + 20, connections=8, rate=rate / 20, batch=20)
    bench.intake.start_kafka()
    begin, before = time.monotonic(), bench.intake.metric("foryou_forwarder_sent_total")
    while bench.intake.metric("foryou_forwarder_sent_total") == before and time.monotonic() - begin < 30:
        time.sleep(0.05)
    begin, fastest = time.monotonic(), 0.0
    while not load.over and bench.intake.behind_bytes() > 100_000:
        time.sleep(0.2)
        sent = bench.intake.metric("foryou_forwarder_sent_total") - before
        fastest = max(fastest, sent / (time.monotonic() - begin)) if time.monotonic() - begin > 0.5 else 0.0
    bench.end(load)
    times = fastest / rate
    found = f"{fastest:,.0f} events/s, {times:.1f} times the input"
    bench.note("drain beside the load", found, f"≥ {DRAIN_TIMES:g} times",
               good=times >= DRAIN_TIMES, drain_per_s=round(fastest))  # fmt: skip


def step(bench: Bench) -> None:
    """Ten times the load, for a minute at the usual length."""
    for factor in (1, STEP, 1):
        rate = STEP_BASE * 25 * factor
        seconds = bench.seconds * (6 if factor > 1 else 0.5)
        result = bench.post(seconds=seconds, connections=CROWD, rate=rate / 25, batch=25)
        refused = sum(count for status, count in result.statuses.items() if status == "503")
        late = f", {result.unsent:,} posts never left: no connection was free" if result.unsent else ""
        found = f"{result.events / result.seconds:,.0f} of {rate:,} events/s acknowledged, p99 {result.p99} ms, "
        bench.note(f"step, {factor} times", f"{found}{refused:,} posts refused in {result.refused_p99} ms (p99){late}")
    seconds = bench.caught_up(240.0)
    bench.note("step, catch-up", f"{seconds:.1f} s", good=seconds < float("inf"), catch_up_s=round(seconds, 1))


def verdict(bench: Bench) -> None:
    """The checker's."""
    bench.caught_up()
    report = intake_checker.check(bench.clients, intake_checker.read(bench.intake.settings.kafka))
    bench.note("checker", str(report), "nothing lost, invented, out of order", good=report.good,
               acknowledged=report.acknowledged, lost=len(report.lost))  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load; the step lasts six times as long")
    parser.add_argument("--connections", type=int, default=PHONES, help="of single posts")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    asked = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))  # and end the processes on the way out
    folder = Path(tempfile.mkdtemp(prefix="intake-", dir=_home()))
    settings = dataclasses.replace(Settings.load(os.environ), home=folder / "home", log_keep_s=20)
    bench = Bench(Intake(settings), folder, asked.seconds, asked.connections)
    try:
        bench.intake.start()
        bench.post(seconds=WARM_UP_S, connections=PHONES, rate=ACK_RATE)
        bench.caught_up()
        for part in asked.only.split(","):
            globals()[part](bench)
        verdict(bench)
    finally:
        bench.intake.stop()
        shutil.rmtree(folder, ignore_errors=True)
    table = Table(title=f"python -m bench.intake {' '.join(sys.argv[1:])}", title_justify="left")
    for name in ("what", "found", "bound", ""):
        table.add_column(name)
    for what, found, bound, good in bench.lines:
        table.add_row(what, found, bound, ("✓" if good else "[red]✗[/]") if bound else "")
    Console(width=150).print(table)
    good = all(line[3] for line in bench.lines)
    print(json.dumps({**bench.told, "ok": good}))
    return 0 if good else 1


def _home() -> Path:
    """The log must lie on a real disk, not on a folder in memory."""
    place = REPO / ".cache"
    place.mkdir(exist_ok=True)
    return place


if __name__ == "__main__":
    sys.exit(main())
