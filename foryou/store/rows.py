"""What the store keeps, and in which order: the key space, the batch that changes it, and the store in memory.

One ordered map from bytes to bytes. A key is its parts joined by NUL, the kind of thing first:

    t  view  app  entity       one packed row: every tile of one entity in one view (foryou.features.merge.encode)
    p  view  entity key        one plain Feast row, pushed or materialised
    o  topic partition         the next offset to read, written in the batch that holds what came before it
    i  topic                   the id of the topic that the offsets belong to
    c  view                    up to when the batch layer's tiles count (foryou.features.cutoff)
    w  view                    withdrawn: `feast apply` removed the tile view, its rows are purged and it is not
    consumed

Prefixes rather than column families: one file set, one write-ahead log, one flush; a secondary opens it without
knowing them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

SEPARATOR = b"\x00"
TILES, PLAIN, OFFSETS, TOPIC_IDS, WITHDRAWN, CUTOFF = b"t", b"p", b"o", b"i", b"w", b"c"


def _join(*parts: bytes) -> bytes:
    return SEPARATOR.join(parts)


def tile_key(view: str, app_id: str, entity: str) -> bytes:
    """Key of the packed row of one entity. Only the entity, being last, may hold a NUL."""
    return _join(TILES, view.encode(), app_id.encode(), entity.encode())


def split_tile_key(key: bytes) -> tuple[str, str, str]:
    """(view, app_id, entity) of a packed row's key."""
    _, view, app_id, entity = key.split(SEPARATOR, 3)
    return view.decode(), app_id.decode(), entity.decode()


def tile_prefix(view: str | None = None) -> bytes:
    """Everything that starts with this is a packed row (of the view)."""
    return _join(TILES, b"") if view is None else _join(TILES, view.encode(), b"")


def plain_key(view: str, entity_key: bytes) -> bytes:
    """Key of one plain Feast row; `entity_key` is Feast's own serialisation."""
    return _join(PLAIN, view.encode(), entity_key)


def plain_prefix(view: str | None = None) -> bytes:
    return _join(PLAIN, b"") if view is None else _join(PLAIN, view.encode(), b"")


def offset_key(topic: str, partition: int) -> bytes:
    return _join(OFFSETS, topic.encode(), str(partition).encode())


def offset_prefix(topic: str) -> bytes:
    return _join(OFFSETS, topic.encode(), b"")


def topic_id_key(topic: str) -> bytes:
    return _join(TOPIC_IDS, topic.encode())


def cutoff_key(view: str) -> bytes:
    return _join(CUTOFF, view.encode())


def withdrawn_key(view: str) -> bytes:
    return _join(WITHDRAWN, view.encode())


def end_of(prefix: bytes) -> bytes:
    """The first key after all that start with `prefix`; our prefixes end in NUL, so that the last byte can be
    raised."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


@dataclass(frozen=True, slots=True)
class Batch:
    """A change that happens whole or not at all: first the purges (of prefixes), then the puts (None deletes)."""

    puts: Mapping[bytes, bytes | None] = field(default_factory=lambda: MappingProxyType({}))
    purges: Sequence[bytes] = ()


class Rows(Protocol):
    """The one map. Memory and RocksDB pass the same tests (tests/store/test_rows.py)."""

    @property
    def exclusive(self) -> AbstractContextManager[object]:
        """Held by whoever reads, changes and writes back; readers need not hold it, a batch is whole for them."""
        ...

    def get(self, key: bytes) -> bytes | None: ...
    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(self, prefix: bytes, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """What starts with `prefix`, in the order of its keys, from behind the key `after` on."""
        ...

    def write(self, batch: Batch, *, durable: bool = False) -> None:
        """Apply a batch. `durable` waits for the disk: for what no Kafka topic could bring back."""
        ...

    def catch_up(self) -> None:
        """See what the primary has written since; nothing to do for a primary."""
        ...

    def close(self) -> None: ...


def stored_offsets(rows: Rows, topic: str) -> dict[int, int]:
    """partition → next offset to read, as of the newest batch that was written whole."""
    prefix = offset_prefix(topic)
    return {int(key[len(prefix) :]): int(value) for key, value in rows.scan(prefix)}


def views_with(rows: Rows, kind: bytes) -> list[str]:
    """Views that have at least one row of the kind: hops from view to view instead of reading every key."""
    views: list[str] = []
    prefix, after = _join(kind, b""), None
    while (first := next(rows.scan(prefix, after), None)) is not None:
        view = first[0].split(SEPARATOR, 2)[1]
        views.append(view.decode())
        after = end_of(_join(kind, view, b""))
    return views


class MemoryRows:
    """The store in memory: for tests and for trying things out. Readers and the writer may be different threads."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._lock = threading.Lock()
        self.exclusive: AbstractContextManager[object] = threading.RLock()

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._lock:
            return [self._values.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        with self._lock:
            keys = sorted(self._values)
            start = bisect_left(keys, prefix if after is None else max(prefix, after + b"\x00"))
            found = [(key, self._values[key]) for key in keys[start : bisect_left(keys, end_of(prefix))]]
        return iter(found)

    def write(self, batch: Batch, *, durable: bool = False) -> None:
        with self._lock:
            for prefix in batch.purges:
                for key in [key for key in self._values if key.startswith(prefix)]:
                    del self._values[key]
            for key, value in batch.puts.items():
                if value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = value

    def catch_up(self) -> None:
        """Everything is seen at once."""

    def close(self) -> None:
        """Nothing to let go of."""
