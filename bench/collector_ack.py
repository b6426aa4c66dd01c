"""POST → ack of a running collector, open loop: a request's time runs from when it was due, not from when it was sent.

    python -m bench.collector_ack --rate 1000 --seconds 20 [--batch 1] [--connections 32]

reads FORYOU_HOME and FORYOU_PORT_OFFSET as the stack does, and prints one line of JSON.
"""

import argparse
import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterator

import uvloop

from foryou.contract.ids import uuid7
from foryou.service.settings import Settings


def _bodies(batch: int) -> Iterator[bytes]:
    for number in itertools.count():
        now = time.time_ns() // 1_000_000
        events = [
            {
                "event_id": uuid7(now),
                "event_type": "view_end",
                "user_id": f"bench-{(number + place) % 5_000}",
                "device_id": f"device-{(number + place) % 5_000}",
                "session_id": f"s-{number % 5_000}",
                "seq": number,
                "video_id": f"v-{number % 20_000}",
                "event_time": now,
                "watch_ms": 5_300,
                "duration_ms": 12_000,
                "position": 3,
                "context": {"network": "wifi", "os": "ios", "app_version": "1.2.3", "region": "US"},
            }
            for place in range(batch)
        ]
        yield json.dumps(events[0] if batch == 1 else events).encode()


class _Connections:
    """A pool of kept-alive connections; a due request waits for a free one, and that wait counts."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._address = (host, port)
        self._head = (
            f"POST /v1/events HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self, count: int) -> None:
        for _ in range(count):
            self._free.put_nowait(await asyncio.open_connection(*self._address))

    async def post(self, body: bytes) -> int:
        """The answer's status."""
        reader, writer = connection = await self._free.get()
        writer.write(self._head + b"%d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        self._free.put_nowait(connection)
        return int(head[9:12])


async def measure(settings: Settings, rate: int, seconds: int, batch: int, connections: int) -> dict[str, object]:
    """Sends `rate` posts a second; gives the percentiles in ms and the answers by status."""
    pool = _Connections(settings.host, settings.ports["collector"], next(iter(settings.secrets().write_keys)))
    await pool.open(connections)
    statuses: Counter[int] = Counter()
    times: list[float] = []

    async def one(due: float, body: bytes) -> None:
        statuses[await pool.post(body)] += 1
        times.append((time.perf_counter() - due) * 1e3)

    bodies = _bodies(batch)
    start = time.perf_counter() + 0.1
    under_way: set[asyncio.Task[None]] = set()
    for number in range(rate * seconds):
        due = start + number / rate
        ahead = due - time.perf_counter()
        if ahead > 0.0005:
            await asyncio.sleep(ahead)
        elif number % 16 == 0:
            await asyncio.sleep(0)
        task = asyncio.ensure_future(one(due, next(bodies)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    took = time.perf_counter() - start
    times.sort()
    percentiles = {f"p{p:g}": round(times[min(len(times) - 1, int(len(times) * p / 100))], 2) for p in (50, 99, 99.9)}
    return {
        "posts_per_s": round(len(times) / took),
        "events_per_s": round(batch * len(times) / took),
        "ack_ms": {**percentiles, "max": round(times[-1], 2)},
        "statuses": dict(statuses),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rate", 1_000), ("seconds", 20), ("batch", 1), ("connections", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    said = parser.parse_args()
    settings = Settings.load(os.environ)
    print(json.dumps(uvloop.run(measure(settings, said.rate, said.seconds, said.batch, said.connections))))


if __name__ == "__main__":
    main()
