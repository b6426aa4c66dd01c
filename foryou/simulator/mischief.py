"""What real phones do wrong, on purpose and counted: sent twice, hours or days late, broken."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from foryou.contract.lateness import LATENESS_BOUND_MS
from foryou.simulator.catalogue import HOUR_MS, Event


@dataclass(frozen=True)
class Rates:
    """Chances: of a batch to be sent twice or to hold a broken event; of an event to be hours (in time) or days old."""

    twice: float = 0.02
    hours_old: float = 0.002
    days_old: float = 0.003
    broken: float = 0.03


NONE = Rates(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Batch:
    """Events of one post, with what the simulator knows of them."""

    events: tuple[Event, ...]
    late: int = 0
    broken: int = 0
    twice: bool = False

    @property
    def sound(self) -> int:
        """Events that must be accepted."""
        return len(self.events) - self.broken


def pack(events: Sequence[Event], now_ms: int, rates: Rates, rng: random.Random) -> Batch:
    """A batch of these events with some mischief: days old is well beyond the lateness bound, hours old well within."""
    packed: list[Event] = []
    late = 0
    for event in events:
        chance = rng.random()
        if chance < rates.days_old:
            late += 1
            packed.append(event | {"event_time": now_ms - LATENESS_BOUND_MS - rng.randint(2, 72) * HOUR_MS})
        elif chance < rates.days_old + rates.hours_old:
            packed.append(event | {"event_time": now_ms - rng.randint(1, LATENESS_BOUND_MS // HOUR_MS // 2) * HOUR_MS})
        else:
            packed.append(event)
    broken = 0
    if events and rng.random() < rates.broken:
        broken = 1
        packed.insert(rng.randint(0, len(packed)), _broken(dict(events[0]), rng))
    return Batch(tuple(packed), late, broken, rng.random() < rates.twice)


def _broken(event: Event, rng: random.Random) -> Event:
    event.pop("event_id", None)
    ways: tuple[Event, ...] = (
        {"event_type": "levitate"},
        {"event_time": "the day before yesterday"},
        {"event_type": "view_end", "video_id": "g_1", "watch_ms": "plenty"},
        {"event_type": "like", "video_id": None},
        {"event_time": 253_402_300_799_000},  # the last day of the year 9999
    )
    return event | rng.choice(ways)
