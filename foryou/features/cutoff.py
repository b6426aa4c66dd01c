"""Up to when the batch layer's tiles count: told by a marker at the end of every partition of the view's topic.

A marker is a record of the view's schema without an app: tile_start is the cut-off, n the number of partitions. It
comes
after the tiles that it vouches for, in each partition, so that whoever has read all markers has read all tiles; until
then the cut-off before it holds. A marker that comes again, or an older one, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from foryou.features.merge import BATCH_SALT
from foryou.features.operations import Collect, Latest
from foryou.features.spec import View


class Cutoff(msgspec.Struct, frozen=True):
    """The newest marker of each partition (UTC ms)."""

    partitions: int
    marks: dict[int, int]

    @property
    def ms(self) -> int:
        """The cut-off that holds; 0 while a partition has none."""
        return min(self.marks.values()) if len(self.marks) >= self.partitions else 0

    def marked(self, partition: int, partitions: int, cutoff: int) -> Cutoff:
        """With one more marker."""
        return Cutoff(partitions, self.marks | {partition: max(cutoff, self.marks.get(partition, 0))})


NONE = Cutoff(1, {})
_decode = msgspec.json.Decoder(Cutoff).decode


def encode(cutoff: Cutoff) -> bytes:
    """As it lies in the store."""
    return msgspec.json.encode(cutoff)


def decode(stored: bytes | None) -> Cutoff:
    """From the store."""
    return NONE if stored is None else _decode(stored)


def is_marker(record: Mapping[str, Any]) -> bool:
    """Whether a decoded record is a marker and no tile."""
    return not record["app_id"]


def marker(view: View, partition: int, partitions: int, cutoff: int) -> tuple[str, dict[str, Any]]:
    """The record key and the record that end a partition's tiles up to `cutoff`."""
    zeros = {m.name: None if isinstance(m.op, Latest | Collect) else 0 for m in view.measures}
    named = dict.fromkeys(("app_id", view.entity, *([view.facet] if view.facet else [])), "")
    version = {"epoch": 0, "n": partitions, "first_ms": None, "last_ms": None}
    record = {**named, "salt": BATCH_SALT, "tile_ms": 0, "tile_start": cutoff, **version, **zeros}
    return f"cutoff|{partition}", record
