"""An open-loop load: batches leave on a fixed schedule whatever the answers; a slow platform cannot slow its own test.

Latency is counted from the moment a batch should have left. When more than `in_flight` batches are unanswered a batch
is not sent but counted as missed: a load that gives up quietly would lie.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foryou.contract.ids import uuid7
from foryou.simulator.catalogue import Event
from foryou.simulator.percentiles import Percentiles, percentiles
from foryou.simulator.phone import encoded, verdict
from foryou.simulator.wire import Door

MakeBatch = Callable[[int, int], Sequence[Event]]  # (number of events, now in UTC ms) → events


@dataclass
class Outcome:
    """What came of a load. Latencies in ms, from the intended send time to the answer."""

    seconds: float = 0.0
    sent: int = 0
    accepted: int = 0
    missed: int = 0
    failed: int = 0
    first_failure: str | None = None
    latency_ms: list[float] = field(default_factory=list)

    def latencies(self) -> Percentiles:
        """Percentiles of the answered batches."""
        return percentiles(self.latency_ms)


async def offer(
    door: Door, rate: float, seconds: float, make: MakeBatch, batch: int = 10, in_flight: int = 256
) -> Outcome:
    """Sends `rate` events per second for `seconds`, `batch` to a post."""
    outcome = Outcome()
    waiting: set[asyncio.Task[None]] = set()
    begin = time.perf_counter()
    for number in range(int(rate * seconds / batch)):
        due = begin + number * batch / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        if len(waiting) >= in_flight:
            outcome.missed += batch
            continue
        task = asyncio.create_task(_post(door, make(batch, time.time_ns() // 1_000_000), due, outcome))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)
    outcome.seconds = time.perf_counter() - begin
    return outcome


async def _post(door: Door, events: Sequence[Event], due: float, outcome: Outcome) -> None:
    outcome.sent += len(events)
    try:
        answer = await door.post("/v1/events", encoded(events))
    except OSError as error:
        outcome.failed += len(events)
        outcome.first_failure = outcome.first_failure or f"{type(error).__name__}: {error}"
        return
    outcome.latency_ms.append((time.perf_counter() - due) * 1_000)
    accepted, _ = verdict(answer, len(events))
    outcome.accepted += accepted
    if accepted != len(events):
        outcome.failed += len(events) - accepted
        outcome.first_failure = outcome.first_failure or f"{answer.status} {answer.body[:300]!r}"


def taps(people: Sequence[str], videos: Sequence[str], rng: random.Random) -> MakeBatch:
    """Taps of random people on random videos: mostly view_end, some likes. A batch is one person's, as from a phone."""

    def make(count: int, now_ms: int) -> list[Event]:
        person = rng.choice(people)
        events: list[Event] = []
        for seq in range(count):
            event: Event = {
                "event_id": uuid7(now_ms),
                "event_type": "like" if rng.random() < 0.1 else "view_end",
                "event_time": now_ms,
                "sent_at": now_ms,
                "user_id": person,
                "session_id": f"load-{person}",
                "seq": seq,
                "video_id": rng.choice(videos),
            }
            if event["event_type"] == "view_end":
                event |= {"watch_ms": rng.randint(300, 20_000), "duration_ms": 20_000}
            events.append(event)
        return events

    return make
