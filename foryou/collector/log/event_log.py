"""What the door asks of a log, and a double in memory that keeps the same promises (tests/collector/log_suite.py).

`append` returns when every record is durable, or raises LogUnavailable: then the client must be told to send again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from foryou.contract.codec import Record

MAX_FRAME_BYTES = 16 << 20  # one post's records, encoded; 4 MiB of events, each refused at length, make some eight


class LogUnavailable(Exception):
    """The log did not take everything; nothing may be acknowledged."""


class LogRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One gated event or dead letter on its way: topic, raw UTF-8 key, the record that Avro will encode."""

    topic: str
    key: str
    record: Record


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[LogRecord]).decode


class EventLog(Protocol):
    """Where accepted events become durable."""

    def waiting_for(self) -> list[str]:
        """What the log lacks before it can take records; empty when it is ready."""

    def detail(self) -> Mapping[str, Any]:
        """How the log is, for /healthz: members to add."""

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Returns when all records are durable. Raises LogUnavailable."""

    def close(self) -> None:
        """Lets what is under way end, bounded, and stops."""


class MemoryLog:
    """A log in memory, for tests and examples. `fail_next` makes the next appends fail, as a full disk does."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.up = True
        self._failures = 0

    def fail_next(self, appends: int = 1) -> None:
        """The next `appends` appends take nothing and raise."""
        self._failures = appends

    def waiting_for(self) -> list[str]:
        return [] if self.up else [NO_ROOM]

    def detail(self) -> Mapping[str, Any]:
        return {}

    async def append(self, records: Sequence[LogRecord]) -> None:
        payload = encode(records)
        await asyncio.sleep(0)
        if not self.up or self._failures:
            self._failures = max(0, self._failures - 1)
            raise LogUnavailable("the log in memory was told to fail")
        if len(payload) > MAX_FRAME_BYTES:
            raise LogUnavailable(f"a post has more than {MAX_FRAME_BYTES:,} bytes of records")
        self.records.extend(decode(payload))

    def close(self) -> None:
        self.up = False

    def of(self, topic: str) -> list[LogRecord]:
        """The records of one topic, in order."""
        return [record for record in self.records if record.topic == topic]


NO_ROOM = "room in the log"
