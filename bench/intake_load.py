"""The load of `make bench-intake` and `make drill-intake`: raw HTTP/1.1 over kept-alive connections.

Open loop: a post leaves when it is due, or waits for a free connection, and its latency counts from when it was due.
Each connection is one viewer who sends one post after another, so that the order of a viewer's events is known. Runs
as a process of its own: `python -m bench.intake_load '<spec as JSON>'` prints a Result as JSON.
"""

import asyncio
import gc
import json
import resource
import sys
import threading
import time
from array import array
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from foryou.service.scheduling import wake_soon

RETRY_S = 0.05
TICK_S = 0.0005
_EVENT = (
    b'{"event_id":"%s","event_type":"view_end","user_id":"%s","device_id":"%s","session_id":"s-%s","seq":%d,'
    b'"video_id":"v-%d","event_time":%d,"watch_ms":5300,"duration_ms":12000,"position":3,'
    b'"context":{"network":"wifi","os":"ios","app_version":"1.2.3","region":"US"}}'
)


@dataclass(frozen=True)
class Spec:
    """What to send. rate: posts per second, 0: as fast as answers come. acked: where to write what was acknowledged."""

    port: int
    seconds: float
    connections: int
    rate: float = 0.0
    batch: int = 1
    busy: int | None = None  # of the connections, so many send; the others are held open
    key: str = ""
    run: int = 0  # a part of every event id
    acked: str | None = None
    resend: bool = False  # what was not acknowledged is sent again, as a phone does
    host: str = "127.0.0.1"


@dataclass
class Result:
    """What came of it. Latencies in ms."""

    seconds: float
    posts: int
    events: int
    sent: int
    statuses: dict[str, int]
    broken: int
    p50: float
    p99: float
    p999: float
    max: float
    refused_p99: float
    unsent: int = 0
    held: int = 0
    late_p99: float = field(default=0.0)  # how late the generator itself was


def event_id(run: int, number: int) -> bytes:
    """The id of a run's n-th event; `number_of` is its inverse."""
    return b"%08x-1357-7000-8000-%012x" % (run, number)


class _Viewer(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "Load", number: int) -> None:
        self.load, self.number = load, number
        self.transport: asyncio.Transport | None = None
        self.due = self.sent = 0.0
        self.ids: list[int] = []
        self._heard = b""
        self._seq = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one but for its class
        self.load.opened(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.transport, self._heard = None, b""
        self.load.lost(self)

    def post(self, due: float) -> None:
        """Sends the next post, or the last one again when it was not answered."""
        assert self.transport is not None
        self.due, self.sent = due, time.perf_counter()
        spec = self.load.spec
        if not self.ids:
            self.ids = self.load.take(spec.batch)
        name, now = b"%d-%d" % (spec.run, self.number), time.time_ns() // 1_000_000
        events = [_EVENT % (event_id(spec.run, n), name, name, name, n % 1_000_000, n % 20_000, now) for n in self.ids]
        body = events[0] if spec.batch == 1 else b"[" + b",".join(events) + b"]"
        self.transport.write(b"%s%d\r\n\r\n%s" % (self.load.head, len(body), body))

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data if self._heard else data
        end = heard.find(b"\r\n\r\n")
        at = heard.find(b"content-length: ")
        if end < 0 or at < 0 or len(heard) < end + 4 + int(heard[at + 16 : heard.index(b"\r", at)]):
            self._heard = heard
            return
        self._heard = b""
        self.load.answered(self, int(heard[9:12]))


class Load:
    """All viewers and what they were told."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.head = (
            f"POST /v1/events HTTP/1.1\r\nhost: {spec.host}\r\nauthorization: Bearer {spec.key}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self._next = 0
        self._free: deque[_Viewer] = deque()
        self._waiting: deque[float] = deque()
        self._times, self._refused, self._late = array("d"), array("d"), array("d")
        self._acked = array("Q")
        self._acked_posts = 0
        self._open = 0
        self._over = False
        self._busy = spec.busy if spec.busy is not None else spec.connections

    def take(self, count: int) -> list[int]:
        """New event numbers."""
        self._next += count
        return list(range(self._next - count, self._next))

    def opened(self, viewer: _Viewer) -> None:
        self._open += 1
        if viewer.number < self._busy:
            self._ready(viewer)

    def lost(self, viewer: _Viewer) -> None:
        self._open -= 1
        if viewer.due:
            self.broken += 1
            self._end_of(viewer)
        if viewer in self._free:
            self._free.remove(viewer)
        if not self._over:
            asyncio.get_running_loop().call_later(RETRY_S, lambda: asyncio.ensure_future(self._connect(viewer)))

    def answered(self, viewer: _Viewer, status: int) -> None:
        now = time.perf_counter()
        self.statuses[status] += 1
        if status == 202:
            self._times.append(now - viewer.due)
            self._acked_posts += 1
            if self.spec.acked is not None:
                for number in viewer.ids:
                    self._acked.append(viewer.number << 40 | number)
            viewer.ids = []
        else:
            self._refused.append(now - viewer.sent)  # how long a refusal takes, not how long its post had waited
        self._end_of(viewer)
        if not self._over and viewer.transport is not None:
            self._ready(viewer)

    def _end_of(self, viewer: _Viewer) -> None:
        viewer.due = 0.0
        if not self.spec.resend:
            viewer.ids = []

    def _ready(self, viewer: _Viewer) -> None:
        if self._over:
            return
        if not self.spec.rate:
            viewer.post(time.perf_counter())
        elif self._waiting:
            viewer.post(self._waiting.popleft())
        else:
            self._free.append(viewer)

    async def _connect(self, viewer: _Viewer) -> None:
        loop = asyncio.get_running_loop()
        while not self._over:
            try:
                await loop.create_connection(lambda: viewer, self.spec.host, self.spec.port)
            except OSError:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def run(self) -> Result:
        viewers = [_Viewer(self, number) for number in range(self.spec.connections)]
        for begin in range(0, len(viewers), 200):
            await asyncio.gather(*(self._connect(each) for each in viewers[begin : begin + 200]))
        begin_s = time.perf_counter()
        if self.spec.rate:
            await self._on_time(begin_s)
        else:
            await asyncio.sleep(self.spec.seconds)
        held = self._open
        unsent = len(self._waiting)
        grace = time.perf_counter() + 10.0  # what is under way may be answered
        self._waiting.clear()
        while any(each.due for each in viewers) and time.perf_counter() < grace and self.spec.rate:
            await asyncio.sleep(0.01)
        took = time.perf_counter() - begin_s
        self._over = True
        for each in viewers:
            if each.transport is not None:
                each.transport.abort()
        if self.spec.acked is not None:
            Path(self.spec.acked).write_bytes(self._acked.tobytes())
        return Result(
            seconds=took,
            posts=self._acked_posts,
            events=self._acked_posts * self.spec.batch,
            sent=self._next,
            statuses={str(status): count for status, count in self.statuses.items()},
            broken=self.broken,
            p50=_ms(self._times, 50),
            p99=_ms(self._times, 99),
            p999=_ms(self._times, 99.9),
            max=_ms(self._times, 100),
            refused_p99=_ms(self._refused, 99),
            unsent=unsent,
            held=held,
            late_p99=_ms(self._late, 99),
        )

    async def _on_time(self, begin_s: float) -> None:
        """Posts by a clock of its own thread: the loop's timers are whole milliseconds, and late by up to one more."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        due = (begin_s + number / self.spec.rate for number in range(int(self.spec.rate * self.spec.seconds)))
        following = next(due, None)

        def offer() -> None:
            nonlocal following
            now = time.perf_counter()
            while following is not None and following <= now:
                if self._free:
                    self._late.append(now - following)
                    self._free.popleft().post(following)
                else:
                    self._waiting.append(following)
                following = next(due, None)
            if following is None:
                over.set()

        def tick() -> None:
            while not over.is_set():
                time.sleep(TICK_S)
                loop.call_soon_threadsafe(offer)

        threading.Thread(target=tick, daemon=True).start()
        await over.wait()


def _ms(times: "array[float]", percent: float) -> float:
    if not times:
        return float("nan")
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1e3, 2)


def main() -> None:
    """The process."""
    spec = Spec(**json.loads(sys.argv[1]))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wake_soon()  # a generator that is late measures itself
    gc.disable()  # … as does one that looks through ten thousand connections for garbage
    print(json.dumps(asdict(uvloop.run(Load(spec).run()))))


if __name__ == "__main__":
    main()
