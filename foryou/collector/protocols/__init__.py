"""Doors that people already have keys for: what each protocol's bodies mean, as pure functions, and one list."""

from foryou.collector.protocols import cloudevents
from foryou.collector.protocols.cloudevents import CLOUDEVENTS
from foryou.collector.protocols.plain import PLAIN
from foryou.collector.protocols.posthog import POSTHOG
from foryou.collector.protocols.segment import SEGMENT
from foryou.collector.protocols.shape import Protocol
from foryou.collector.protocols.snowplow import SNOWPLOW
from foryou.contract.gate import Refused

PROTOCOLS: tuple[Protocol, ...] = (*SEGMENT, *POSTHOG, *SNOWPLOW)
_BY_DOOR = {path: protocol for protocol in PROTOCOLS for _, path in protocol.paths} | {cloudevents.DOOR: CLOUDEVENTS}


def again(door: str, original: bytes, now_ms: int) -> bytes | Refused:
    """The event's JSON of what a dead letter kept of one event, by the door that it came through: for a replay.

    `now_ms` is the time of an event that says none: the letter's `rejected_at`. Raises nothing.
    """
    return _BY_DOOR.get(door, PLAIN).again(original, now_ms)
