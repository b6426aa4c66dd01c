"""Events in our own fields: one, an array, or a line each. An event's own bytes go to the gate as they came."""

from foryou.collector.protocols.answers import verdict_each
from foryou.collector.protocols.shape import Arrived, Parcel, Protocol
from foryou.collector.split import split
from foryou.contract.gate import Refused


def read(arrived: Arrived) -> Parcel:
    """The events in a body. Raises Unsplittable."""
    batch = split(arrived.body, arrived.headers.get("content-type") or "")
    return Parcel(list(batch.events), batch.events, batch.single)


def again(original: bytes, _: int) -> bytes | Refused:
    """An event's bytes are the event."""
    return original


PLAIN = Protocol("JSON", (), read, again, verdict_each)
