"""The packed row: all tiles of one (view, app, entity), as the store keeps it and the ranker reads it. Pure; the
clock is an argument.

A tile comes with its version (epoch, n = events applied). The larger one stays, so tiles may be delivered again and in
any order of replays; a smaller one is a replay and is refused. Equal n replaces: it is a withdrawal (an un-like adds no
event to the tile of its like), or the same events once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, cast

import msgspec

from foryou.features.operations import (
    Action,
    Collect,
    Count,
    Latest,
    Operation,
    Toggle,
    Total,
    Watched,
    in_time_order,
)
from foryou.features.reading import State, Tiles, readers
from foryou.features.spec import TileKey, TileState, Value, View

Row = dict[TileKey, State]
# To be changed: a state that nobody looks at stays packed, as a tap changes one tile of some thirty. Reading all of
# them was two fifths of what the store's writer did, and as many objects for the garbage collector to walk.
Open = dict[TileKey, State | msgspec.Raw]

BATCH_SALT = -1  # of a tile that the batch layer published; the stream's salts count from 0

_encode = msgspec.msgpack.Encoder().encode
_open: Callable[[bytes], Any] = msgspec.msgpack.Decoder(dict[TileKey, msgspec.Raw]).decode
_version = msgspec.msgpack.Decoder(tuple[int, int, msgspec.Raw, msgspec.Raw, msgspec.Raw]).decode


def put(row: Open, key: TileKey, state: State) -> bool:
    """Keeps the state if it is not older than the one that is there; False means a replay, refused. Changes `row`."""
    known = row.get(key)
    if known is not None:
        version = _version(known) if isinstance(known, msgspec.Raw) else known
        if state[:2] < version[:2]:
            return False
    row[key] = state
    return True


def expire(view: View, row: Open, now: int) -> int:
    """Drops what no reading at `now` or later can touch, and says how many tiles that was. Changes `row`."""
    oldest = {r.ms: now - r.keep - r.ms for r in view.tiles}
    gone = [key for key in row if key[2] <= oldest.get(key[1], now)]
    for key in gone:
        del row[key]
    plan = _plan(view)
    if plan.collected:
        whole = _whole(plan, row)
        for op, index in plan.collected:
            _trim(whole, op, index, now)
    return len(gone)


def _whole(plan: _Plan, row: Open) -> Row:
    """The same row, all of its states unpacked."""
    for key, state in row.items():
        if isinstance(state, msgspec.Raw):
            row[key] = plan.state(state)
    return cast(Row, row)


def _trim(row: Row, op: Collect, index: int, now: int) -> None:
    """Empties the lists behind the newest tiles that together hold op.newest records. Tiles after now do not count."""
    if sum([len(state.measures[index]) for state in row.values()]) <= op.newest:
        return
    held, reached = 0, now
    for key in sorted((key for key in row if key[2] <= now), key=itemgetter(2), reverse=True):
        state = row[key]
        listed = len(state.measures[index])
        if held >= op.newest and key[2] < reached:
            if listed:
                measures = state.measures
                row[key] = state._replace(measures=(*measures[:index], op.zero, *measures[index + 1 :]))
        else:
            held, reached = held + listed, key[2]


def read(view: View, row: Row, now: int, cutoff: int = 0) -> dict[str, Value]:
    """All features of the view at `now`, from the batch layer's tiles up to `cutoff` (both UTC ms) and the stream's
    after
    it. An empty row has values, too: nothing happened."""
    tiles = Tiles(view, row.items(), now, cutoff)
    return {name: reader(tiles) for name, reader in readers(view)}


def encode(row: Row | Open) -> bytes:
    """The row as MessagePack."""
    return _encode(row)


def decode(view: View, data: bytes) -> Row:
    """A row from its bytes. Raises msgspec.DecodeError when they are not a row of this view."""
    return _plan(view).decode(data)


def open_row(data: bytes) -> Open:
    """A row from its bytes, to be changed. Raises msgspec.DecodeError when they are no row."""
    row: Open = _open(data)
    return row


def tile(view: View, record: Mapping[str, Any]) -> tuple[TileKey, State]:
    """Key and state of a tile as it lies in the view's topic (decoded Avro); the entity is record[view.entity]."""
    plan = _plan(view)
    facet = record[view.facet] if view.facet else None
    version = record["epoch"], record["n"], record["first_ms"], record["last_ms"]
    measures = tuple([take(record[name]) if take else record[name] for name, take in plan.taken])
    return (facet, record["tile_ms"], record["tile_start"], record["salt"]), TileState(*version, measures)


@dataclass(frozen=True)
class _Plan:
    """What is worked out once per view."""

    decode: Callable[[bytes], Row]
    state: Callable[[msgspec.Raw], State]
    taken: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    collected: tuple[tuple[Collect, int], ...]


@cache
def _plan(view: View) -> _Plan:
    measures: Any = tuple[tuple(_type_of(m.op) for m in view.measures)]  # type: ignore[misc]
    state: Any = TileState[measures]
    return _Plan(
        decode=msgspec.msgpack.Decoder(dict[TileKey, state]).decode,
        state=msgspec.msgpack.Decoder(state).decode,
        taken=tuple((m.name, _taker(m.op) if isinstance(m.op, Collect) else None) for m in view.measures),
        collected=tuple((m.op, i) for i, m in enumerate(view.measures) if isinstance(m.op, Collect)),
    )


def _type_of(op: Operation) -> Any:
    match op:
        case Count() | Total() | Toggle() | Watched():
            return int
        case Latest():
            return int | None
        case Collect():
            return tuple[tuple[Any, ...], ...]


def _taker(op: Collect) -> Callable[[list[dict[str, Any]] | None], tuple[Action, ...]]:
    """Records arrive in the order of arrival; they are put into the order of time once, here, not at every reading."""
    values = itemgetter(*op.names)

    def take(records: list[dict[str, Any]] | None) -> tuple[Action, ...]:
        return in_time_order([values(record) for record in records]) if records else op.zero

    return take
