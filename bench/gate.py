"""What the gate costs beside the check of the contract, in one process, without sockets and without Kafka.

python -m bench.gate [--events 200000] [--batch 500]
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from foryou.collector.admission import Admission
from foryou.collector.door import Door
from foryou.collector.doors import add_doors
from foryou.collector.letters import Letters
from foryou.collector.log.event_log import EventLog, LogRecord
from foryou.contract.gate import Gate
from foryou.contract.identity import Identity
from foryou.contract.ids import uuid7
from foryou.contract.seal import Seal
from foryou.contract.secret_ring import new_ring
from foryou.service.gate_settings import load
from foryou.service.guard import Guard
from foryou.service.keys import Scope
from foryou.service.metrics import Metrics
from foryou.service.testing import ask, known_keys
from foryou.service.web import Router

PEOPLE = 5_000


class _Nowhere:
    """A log that takes everything at once and keeps nothing."""

    def waiting_for(self) -> list[str]:
        return []

    def detail(self) -> Mapping[str, Any]:
        return {}

    async def append(self, records: Sequence[LogRecord]) -> None:
        pass

    def close(self) -> None:
        pass


def _bodies(batch: int) -> Iterator[bytes]:
    for number in itertools.count():
        now = time.time_ns() // 1_000_000
        yield msgspec.json.encode(
            [
                {
                    "event_id": uuid7(now),
                    "event_type": "view_end",
                    "user_id": f"bench-{(number * batch + place) % PEOPLE}",
                    "device_id": f"device-{(number * batch + place) % PEOPLE}",
                    "session_id": f"s-{number}",
                    "seq": place,
                    "video_id": f"v-{place}",
                    "event_time": now,
                    "watch_ms": 5_300,
                    "duration_ms": 12_000,
                    "position": 3,
                    "context": {"network": "wifi", "os": "ios", "app_version": "1.2.3", "region": "US"},
                }
                for place in range(batch)
            ]
        )


def _router(log: EventLog) -> Router:
    metrics, settings, ring = Metrics(), load(), new_ring()
    router = Router(metrics, guard=Guard(settings, metrics))
    door = Door(
        known_keys({"key": "demo"}, [Scope.EVENTS_WRITE]),  # an app's key: a developer's is not judged by pace
        Gate(Identity(bytes(32))),
        log,
        metrics,
        Letters(Seal(lambda: ring, "dead letter")),
        Admission(settings),
    )
    add_doors(router, door)
    return router


async def measure(events: int, batch: int) -> None:
    """Prints events a second through the door, and through parts of it."""
    bodies = list(itertools.islice(_bodies(batch), events // batch))
    router, headers = _router(_Nowhere()), {"authorization": "Bearer key", "content-type": "application/json"}
    began = time.process_time()
    for body in bodies:
        answer = await ask(router, "POST", "/v1/events", body, headers, client="9.9.9.9:1")
        assert answer.status == 202, answer.body[:300]
    _say("whole door", events, time.process_time() - began)

    gate, admission = Gate(Identity(bytes(32))), Admission()
    raws = [bytes(raw) for body in bodies for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    now_ms = time.time_ns() // 1_000_000
    began = time.process_time()
    verdicts = [gate.check(raw, "demo", now_ms) for raw in raws]
    _say("contract alone", events, time.process_time() - began)
    began = time.process_time()
    admission.by_device(verdicts)
    _say("device buckets", events, time.process_time() - began)
    caller = known_keys({"key": "demo"}, [Scope.EVENTS_WRITE]).by_key("key")
    began = time.process_time()
    admission.flagged(verdicts, caller, "okhttp/4.12")
    _say("bot flags", events, time.process_time() - began)


def _say(what: str, events: int, seconds: float) -> None:
    print(f"{what:<16} {events / seconds:>12,.0f} events/s   {seconds / events * 1e6:6.2f} µs/event")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=500)
    asked = parser.parse_args()
    asyncio.run(measure(asked.events, asked.batch))


if __name__ == "__main__":
    main()
