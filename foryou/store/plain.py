"""Plain Feast rows: how they are stored, which of two wins, and how our values become Feast's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from feast.protos.feast.types.Value_pb2 import Value as ValueProto


@dataclass(frozen=True, slots=True)
class PlainRow:
    """The newest values of one entity in one view; times in UTC ms."""

    event_ms: int
    created_ms: int | None
    values: Mapping[str, ValueProto]


_Wire = tuple[int, int | None, dict[str, bytes]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode(row: PlainRow) -> bytes:
    return _encoder.encode((row.event_ms, row.created_ms, {k: v.SerializeToString() for k, v in row.values.items()}))


def decode(data: bytes) -> PlainRow:
    event_ms, created_ms, values = _decoder.decode(data)
    return PlainRow(event_ms, created_ms, {name: ValueProto.FromString(value) for name, value in values.items()})


def newer(stored: PlainRow | None, offered: PlainRow) -> PlainRow:
    """The row that stays: by event time, then by creation time; the offered one when both are equal (a correction)."""
    if stored is None:
        return offered
    return offered if _order(offered) >= _order(stored) else stored


def _order(row: PlainRow) -> tuple[int, int]:
    return row.event_ms, row.created_ms if row.created_ms is not None else -1


def value_of(dtype: str, value: Any) -> ValueProto:
    """A feature's value as Feast's. None and an empty list are null: Feast's remote client cannot infer the type of an
    empty list from JSON and would fail the whole answer."""
    proto = ValueProto()
    if value is None or (isinstance(value, list) and not value):
        return proto
    if dtype == "int64":
        proto.int64_val = value
    elif dtype == "float64":
        proto.double_val = value
    elif dtype == "string":
        proto.string_val = value
    elif dtype == "list_string":
        proto.string_list_val.val.extend(value)
    elif dtype == "list_float64":
        proto.double_list_val.val.extend(value)
    else:
        raise ValueError(f"no Feast type for {dtype!r}; there are int64, float64, string, list_string, list_float64")
    return proto
