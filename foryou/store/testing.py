"""Tiles and topics made by hand: for tests, benches and trying the store without Kafka, Flink or a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foryou.contract.codec import Decoder, Encoder
from foryou.features.compilers.avro import tile_schema
from foryou.features.definitions import VIEWS
from foryou.features.operations import Collect, Latest
from foryou.features.spec import View
from foryou.store.source import MemorySource


class TileTopics:
    """The topics of `views` in memory, and the codec of their tiles."""

    def __init__(self, views: Mapping[str, View] = VIEWS, partitions: int = 2) -> None:
        self.views = views
        self.source = MemorySource()
        self._partitions = partitions
        schemas = {number: tile_schema(view) for number, view in enumerate(views.values(), start=1)}
        self.decode = Decoder(schemas.__getitem__)
        self._encoders = {name: Encoder(schemas[number], number) for number, name in enumerate(views, start=1)}
        for view in views.values():
            self.create(view)

    def create(self, view: View) -> None:
        """Makes the view's topic, or makes it anew: empty, under another id."""
        self.source.create(view.topic, self._partitions)

    def encode(self, view: View, record: Mapping[str, Any]) -> bytes:
        """A tile in the wire format."""
        return self._encoders[view.full_name](dict(record))

    def send(self, view: View, record: Mapping[str, Any], timestamp_ms: int = 0) -> None:
        """Appends a tile to the partition of its entity."""
        key = "|".join(str(record[column]) for column in view.key_columns).encode()
        partition = sum(record[view.entity].encode()) % self._partitions
        self.source.append(view.topic, key, self.encode(view, record), partition, timestamp_ms)


def tile(view: View, entity: str, start: int, n: int = 1, **fields: Any) -> dict[str, Any]:
    """A tile's record; what is not given (any field or measure of it, the facet as `facet`) is zero."""
    zeros: dict[str, Any] = {
        m.name: [] if isinstance(m.op, Collect) else None if isinstance(m.op, Latest) else 0 for m in view.measures
    }
    record = {
        "app_id": "demo",
        view.entity: entity,
        "salt": 0,
        "tile_ms": view.tiles[0].ms,
        "tile_start": start,
        "epoch": 1,
        "n": n,
        "first_ms": start,
        "last_ms": start,
        **zeros,
        **fields,
    }
    if view.facet:
        record[view.facet] = record.pop("facet", "comedy")
    unknown = fields.keys() - record.keys() - {"facet"}
    if unknown:
        raise KeyError(f"{view.full_name} has no {sorted(unknown)}")
    return record


def action(time: int, video_id: str, category: str | None = None, **fields: Any) -> dict[str, Any]:
    """A record of user_activity's `actions`: a watched view unless told otherwise."""
    return {
        "time": time,
        "event_type": "view_end",
        "video_id": video_id,
        "category": category,
        "creator_key": None,
        "watch_ms": 9_000,
        "duration_ms": 12_000,
        "watched": 1,
        "skipped": 0,
        **fields,
    }
